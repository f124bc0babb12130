"""Whole characters: JSON and the arguments of a program can hold halves of them, which no file or terminal takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import SettingsError
from .answer import Delta, Finish

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SURROGATE = re.compile("[\ud800-\udfff]")
_WORD = re.compile(r'[^\s"]+')


def well_formed(text: str) -> str:
    """The same text; two halves of a character are one, a half alone is U+FFFD."""
    if not SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def well_formed_parts(parts: Iterable[Delta | Finish]) -> Iterator[Delta | Finish]:
    """An answer's pieces in whole characters, also of those whose halves came in two pieces."""
    held = Delta()
    for part in parts:
        if isinstance(part, Finish):
            yield Delta(well_formed(held.content), well_formed(held.reasoning))
            yield part
            return
        content, content_half = _halved(held.content + part.content)
        reasoning, reasoning_half = _halved(held.reasoning + part.reasoning)
        if part.content:  # the thinking is over
            reasoning, reasoning_half = reasoning + reasoning_half, ""
        held = Delta(content_half, reasoning_half)
        yield Delta(well_formed(content), well_formed(reasoning))


def not_utf8(error: UnicodeEncodeError) -> SettingsError:
    """What a text that was given in another encoding cannot be used for."""
    word = next(found[0] for found in _WORD.finditer(error.object) if found.start() <= error.start < found.end())
    return SettingsError(
        f"{word!r} is not UTF-8",
        why="What was typed, or the script or list it is from, is in another encoding.",
        fix="iconv -f LATIN1 -t UTF-8 < FILE    # where that encoding is Latin 1",
    )


def _halved(text: str) -> tuple[str, str]:
    """The text, and apart from it the first half of a character that it ends with."""
    place = len(text) - ("\ud800" <= text[-1:] <= "\udbff")
    return text[:place], text[place:]
