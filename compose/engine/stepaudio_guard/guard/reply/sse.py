"""A stream of server-sent events, its chunks changed as they pass; cut into bytes in any way.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .choices import Choice

if TYPE_CHECKING:
    from ..prepared import ThinkingMode

LONGEST_LINE = 8 << 20
"""Bytes of an event that are looked at; a longer one passes as it is."""

_FIELD = b"data:"
_DELTA = b'"delta":'
_FIRST_CHOICE = b'"index":0,"delta":'
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class EventStream:
    """Sorts the thinking out of a chat completion's chunks; every other line passes as it is."""

    def __init__(self, mode: ThinkingMode) -> None:
        self._mode = mode
        self._choices: dict[Any, Choice] = {}
        self._line = bytearray()
        self._passing = False

    def feed(self, data: bytes) -> bytes:
        """What may go on, now that `data` has come: all but a last line that has not ended."""
        head, newline, rest = data.rpartition(b"\n")
        if not newline:
            return self._keep(rest)
        lines = bytes(self._line + head).split(b"\n") if self._line else head.split(b"\n")
        self._line.clear()
        if self._passing:
            self._passing = False
            out = [lines[0], *map(self._changed, lines[1:])]
        else:
            out = [*map(self._changed, lines)]
        return b"\n".join([*out, self._keep(rest)])

    def end(self) -> bytes:
        """The last line, where the stream ended without ending it."""
        line = bytes(self._line)
        self._line.clear()
        return self._changed(line)

    def _keep(self, rest: bytes) -> bytes:
        if self._passing:
            return rest
        self._line += rest
        if len(self._line) <= LONGEST_LINE:
            return b""
        self._passing, line = True, bytes(self._line)
        self._line.clear()
        return line

    def _changed(self, line: bytes) -> bytes:
        if not line.startswith(_FIELD) or self._is_text(line):
            return line
        try:
            chunk = json.loads(line[len(_FIELD) :])
        except (ValueError, RecursionError):
            return line
        if not (isinstance(chunk, dict) and self._change(chunk)):
            return line
        return b"data: " + dump(chunk) + (b"\r" if line.endswith(b"\r") else b"")

    def _is_text(self, line: bytes) -> bool:
        """Whether `line` is a chunk of the first choice alone, whose thinking is over: it need not be parsed.

        Quotes within words are escaped, so the keys cannot be mistaken for words.
        """
        first = self._choices.get(0)
        return first is not None and first.settled and _FIRST_CHOICE in line and line.count(_DELTA) == 1

    def _change(self, chunk: dict[str, Any]) -> bool:
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            return False
        changes = [
            self._choice(choice.get("index", 0)).change(choice) for choice in choices if isinstance(choice, dict)
        ]
        return any(changes)

    def _choice(self, index: Any) -> Choice:
        if index not in self._choices:
            self._choices[index] = Choice(self._mode)
        return self._choices[index]


def dump(value: Any) -> bytes:
    """JSON as the engine writes it: compact, in UTF-8; half a surrogate pair stays an escape."""
    return _encode(value).encode("utf-8", "backslashreplace")
