"""A log as one searchable text that still knows its lines."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from heapq import merge
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

NEIGHBOURHOOD = 60
"""Lines before and after that count as near; a PyTorch traceback through a compiled graph has about 50."""
_HEAD = 200
"""Characters at the beginning of a line in which its level and origin stand."""
_REACH = 2000
"""Characters looked at on either side of a text found; vLLM's longest messages have about 1500."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text was found: the line's number from 1, where it begins, its head, and what is around the text."""

    number: int
    begin: int
    head: str
    around: str


@dataclass(frozen=True, slots=True)
class Log:
    """Lines joined into one text, and the offset at which each begins."""

    text: str
    begins: Sequence[int]

    @classmethod
    def of(cls, lines: Iterable[str]) -> Log:
        """Return the log made of `lines`, with or without their line ends."""
        kept = [line.rstrip("\r\n") for line in lines]
        return cls("\n".join(kept), list(accumulate((len(line) + 1 for line in kept), initial=0)))

    def places(self, texts: Iterable[str]) -> Iterator[Place]:
        """Yield the places that hold one of `texts`, from the end of the log backwards, each line once."""
        before = len(self.text) + 1
        for offset in merge(*(self._offsets(text) for text in texts), reverse=True):
            if offset < before:
                place = self._place(offset)
                before = place.begin
                yield place

    def near(self, place: Place) -> str:
        """Return the lines around `place`."""
        last = len(self.begins) - 1
        begin = self.begins[max(0, place.number - 1 - NEIGHBOURHOOD)]
        return self.text[begin : self.begins[min(last, place.number + NEIGHBOURHOOD)]]

    def _offsets(self, text: str) -> Iterator[int]:
        offset = self.text.rfind(text)
        while offset >= 0:
            yield offset
            offset = self.text.rfind(text, 0, offset)

    def _place(self, offset: int) -> Place:
        # a progress bar redraws its line with \r: what is drawn over it is a line of its own
        line = self.text.rfind("\n", 0, offset) + 1
        begin = max(line, self.text.rfind("\r", line, offset) + 1)
        around = self.text[max(begin, offset - _REACH) : offset + _REACH].replace("\r", "\n")
        behind = around.find("\n", min(offset - begin, _REACH))
        return Place(
            number=bisect_right(self.begins, offset),
            begin=begin,
            head=self.text[begin : begin + _HEAD],
            around=around[:behind] if behind >= 0 else around,
        )
