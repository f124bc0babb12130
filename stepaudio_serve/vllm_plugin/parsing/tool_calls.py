"""Tool calls told from text, as the text arrives.

A call is written as the chat template renders it back: `<tool_call>function`, the name on a line of its own, the
arguments as a JSON object, `</tool_call>`. It begins where its object begins, so a name is announced when it is
certain; it ends where its object ends, so marks inside a JSON string are data and a missing end mark costs nothing.
Everything else is text, to the letter, save the white space before a call and that which ends a text with calls.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

OPENING = "<tool_call>function\n"
CLOSING = "</tool_call>"

_HEAD = re.compile(OPENING + r"[ \t]*(?P<name>[^\s<>{}]{1,128})[ \t\r]*\n\s*(?={)")
_HEAD_SO_FAR = re.compile(OPENING + r"[ \t]*[^\s<>{}]{0,128}[ \t\r]*(\n\s*)?\Z")
_IN_STRING = re.compile(r'"|\\(.|\Z)', re.DOTALL)
_IN_OBJECT = re.compile(r'["{}<]')


@dataclass(frozen=True, slots=True)
class Text:
    """Words that belong to no call."""

    words: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A call of this name begins; `source` is what announced it, the white space before it included."""

    name: str
    source: str


@dataclass(frozen=True, slots=True)
class Arguments:
    """More of the arguments of the call that has begun, as the model writes them."""

    words: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The call that has begun is over; `source` is the mark that says so, if there is one."""

    source: str


Event: TypeAlias = Text | Begun | Arguments | Ended
_Step: TypeAlias = tuple[list[Event], str]
"""What was read, and the words that are still to be read."""


@dataclass(slots=True)
class Reader:
    """Where the words of one answer stand; `_held` is held back until more words tell what it is."""

    _phase: Literal["text", "arguments", "closing"] = "text"
    _held: str = ""
    _called: bool = False
    _depth: int = 0
    _quoted: bool = False

    def feed(self, words: str) -> list[Event]:
        """Read what has come."""
        steps = {"text": self._read_text, "arguments": self._read_arguments, "closing": self._read_closing}
        words, self._held = self._held + words, ""
        events: list[Event] = []
        while words:
            read, words = steps[self._phase](words)
            events += read
        return events

    def finish(self) -> list[Event]:
        """What was held back, now that no more comes."""
        rest, self._held = self._held, ""
        if self._phase == "closing":
            return [Ended(rest)]
        if self._phase == "arguments":
            return [Arguments(rest)] if rest else []
        rest = rest.rstrip() if self._called else rest
        return [Text(rest)] if rest else []

    def _read_text(self, words: str) -> _Step:
        begin = words.find("<")
        while begin >= 0:
            if head := _HEAD.match(words, begin):
                before = words[:begin].rstrip()
                self._phase, self._called = "arguments", True
                begun = Begun(head["name"], words[len(before) : head.end()])
                return [*_text(before), begun], words[head.end() :]
            if OPENING.startswith(words[begin : begin + len(OPENING)]) and _may_open(words[begin:]):
                break
            begin = words.find("<", begin + 1)
        sure = words[:begin] if begin >= 0 else words
        sure = sure.rstrip()
        self._held = words[len(sure) :]
        return _text(sure), ""

    def _read_arguments(self, words: str) -> _Step:
        position = 0
        while mark := (_IN_STRING if self._quoted else _IN_OBJECT).search(words, position):
            position = mark.end()
            match mark[0]:
                case '"':
                    self._quoted = not self._quoted
                case "{":
                    self._depth += 1
                case "}":
                    self._depth -= 1
                    if not self._depth:
                        self._phase = "closing"
                        return _arguments(words[:position]), words[position:]
                case "<" if words.startswith(CLOSING, mark.start()):
                    self._phase, self._depth = "text", 0
                    return [*_arguments(words[: mark.start()]), Ended(CLOSING)], words[mark.start() + len(CLOSING) :]
                case "\\" | "<" if _is_cut(mark):
                    self._held = words[mark.start() :]
                    return _arguments(words[: mark.start()]), ""
        return _arguments(words), ""

    def _read_closing(self, words: str) -> _Step:
        rest = words.lstrip()
        if rest.startswith(CLOSING):
            self._phase = "text"
            end = len(words) - len(rest) + len(CLOSING)
            return [Ended(words[:end])], words[end:]
        if CLOSING.startswith(rest):
            self._held = words
            return [], ""
        self._phase = "text"
        return [Ended("")], words


def _may_open(words: str) -> bool:
    """Whether these words, to their end, may be the beginning of a call."""
    return OPENING.startswith(words) or _HEAD_SO_FAR.match(words) is not None


def _is_cut(mark: re.Match[str]) -> bool:
    """Whether an escape or an end mark is begun here that the words do not end."""
    return mark[0] == "\\" or CLOSING.startswith(mark.string[mark.start() : mark.start() + len(CLOSING)])


def _text(words: str) -> list[Event]:
    return [Text(words)] if words else []


def _arguments(words: str) -> list[Event]:
    return [Arguments(words)] if words else []


@dataclass(frozen=True, slots=True)
class Call:
    """One call: a function's name, and its arguments as the JSON that the model wrote."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A whole answer: its text, None where there is none, and its calls."""

    content: str | None
    calls: tuple[Call, ...] = ()


def read(words: str) -> Reading:
    """Tell the calls from the text of a whole answer, as a stream of it would be told apart.

    Only what was said of a call whose arguments are not a JSON object - cut off, or malformed - differs: a stream
    has sent it on as it came, here it is text, with its marks.
    """
    reader = Reader()
    content: list[str] = []
    calls: list[Call] = []
    for part in _gathered([*reader.feed(words), *reader.finish()]):
        if isinstance(part, Text):
            content.append(part.words)
        elif is_json_object(part.call.arguments):
            calls.append(part.call)
        else:
            content.append(part.source)
    if not calls:
        return Reading(words or None)
    return Reading("".join(content) or None, tuple(calls))


@dataclass(frozen=True, slots=True)
class _Written:
    """A call, and all the words that it was written with."""

    call: Call
    source: str


def _gathered(events: list[Event]) -> list[Text | _Written]:
    parts: list[Text | _Written] = []
    name, arguments, source = "", "", ""
    for event in [*events, Ended("")]:
        match event:
            case Text():
                parts.append(event)
            case Begun():
                name, arguments, source = event.name, "", event.source
            case Arguments():
                arguments, source = arguments + event.words, source + event.words
            case Ended() if source:
                parts.append(_Written(Call(name, arguments), source + event.source))
                source = ""
    return parts


def is_json_object(words: str) -> bool:
    """Whether these words are one JSON object, by the standard: no NaN, no bare line break in a string."""
    try:
        return isinstance(json.loads(words, parse_int=str, parse_float=str, parse_constant=_refuse), dict)
    except (ValueError, RecursionError):
        return False


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
