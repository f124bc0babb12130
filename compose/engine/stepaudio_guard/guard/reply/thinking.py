"""Thinking told from text, as the words of one choice arrive."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ..prepared import ThinkingMode

OPEN = "<think>"
CLOSE = "</think>"

_Phase = Literal["before", "thinking", "text"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Words sorted into thinking and text; either may be empty."""

    thinking: str = ""
    text: str = ""


@dataclass(slots=True)
class Separator:
    """Where the words of one choice stand; `_held` may be the start of a mark, and is no longer than that.

    With `opened`, the words start inside the thinking; else they are text, unless `<think>` comes first.
    The marks are dropped, and so is the white space that begins the thinking and the text after it.
    """

    opened: bool
    _phase: _Phase = "before"
    _held: str = ""
    _begun: bool = False
    _thought: list[str] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether the thinking is over, or there was none."""
        return self._phase == "text"

    @property
    def settled(self) -> bool:
        """Whether all that is still to come is text, to the letter."""
        return self._phase == "text" and self._begun

    def feed(self, words: str) -> Piece:
        """Sort what has come; a character is held back only while it may belong to a mark."""
        if self._phase == "before":
            words = self._held + words
            start = words.lstrip()
            if OPEN.startswith(start):
                self._held = words
                return Piece()
            self._held = ""
            if start.startswith(OPEN):
                self._phase, words = "thinking", start[len(OPEN) :]
            elif self.opened:
                self._phase = "thinking"
            else:
                self._phase, self._begun = "text", True
        if self._phase == "text":
            return Piece(text=self._trimmed(words))
        return self._think(self._held + words)

    def finish(self, reason: str) -> Piece:
        """What was held back, now that no more comes.

        An engine that stopped by itself without ending its thinking has answered without thinking: then all
        its words are the text. (Those that went out as thinking are given once more, as text.)
        """
        if self._phase == "text":
            return Piece()
        rest, self._held = self._held, ""
        if self._phase == "before":
            if not self.opened and rest.strip() != OPEN:
                return Piece(text=rest)
            rest = rest.lstrip().removeprefix(OPEN)
        rest = self._trimmed(rest)
        self._thought.append(rest)
        return Piece(rest, "".join(self._thought) if reason == "stop" else "")

    def _think(self, words: str) -> Piece:
        thought, mark, text = words.partition(CLOSE)
        if not mark:
            sure = len(thought) - _possible_mark(thought)
            thought, self._held = thought[:sure], thought[sure:]
            thought = self._trimmed(thought)
            self._thought.append(thought)
            return Piece(thought)
        thought = self._trimmed(thought)
        self._phase, self._held, self._begun = "text", "", False
        self._thought.clear()
        return Piece(thought, self._trimmed(text))

    def _trimmed(self, words: str) -> str:
        if not self._begun:
            words = words.lstrip()
            self._begun = words != ""
        return words


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: its thinking and its text, None where there is none."""

    thinking: str | None
    text: str | None


def separate(words: str, reason: str, mode: ThinkingMode) -> Answer:
    """Tell the thinking from the text of a whole answer, as a stream of it would be told apart.

    One that was cut off inside its thinking has no text.
    """
    separator = Separator(opened=mode == "opened")
    first, last = separator.feed(words), separator.finish(reason)
    thinking, text = first.thinking + last.thinking, first.text + last.text
    if separator.ended or reason == "stop":
        return Answer((thinking or None) if separator.ended else None, text)
    return Answer(thinking or None, text or None)


def _possible_mark(words: str) -> int:
    """How many characters at the end may be the start of `</think>`."""
    begin = words.rfind("<", -len(CLOSE) + 1)
    return len(words) - begin if begin >= 0 and CLOSE.startswith(words[begin:]) else 0
