"""Thinking told from the answer: in text as it arrives, and in tokens by decoding them.

The prompt opens the thinking, so what the model writes starts inside it; `</think>` ends it. Whether the marks are
single tokens of the tokenizer does not matter here: they are looked for in what the tokens say.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

OPEN = "<think>"
CLOSE = "</think>"
TURN = "<|BOT|>"

Start: TypeAlias = Literal["thinking", "undecided", "answer"]
"""Where the model's words start. Undecided: they are the answer, unless `<think>` comes first."""

Decode: TypeAlias = Callable[[Sequence[int]], str]
"""The text of tokens, with the special ones."""

_SHORTEST_TAIL = 32
"""Tokens that hold the end of nearly every prompt, were each no more than a byte."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Words sorted into thinking and answer; either may be empty."""

    thinking: str = ""
    answer: str = ""


@dataclass(slots=True)
class Separator:
    """Where the words of one answer stand; `_held` may be the start of a mark.

    The marks are dropped, and so is the white space that begins the thinking and the answer after it.
    """

    start: Start = "thinking"
    _phase: Literal["before", "thinking", "answer"] = "before"
    _held: str = ""
    _begun: bool = False

    @property
    def settled(self) -> bool:
        """Whether all that is still to come is the answer, to the letter."""
        return self._phase == "answer" and self._begun

    def feed(self, words: str) -> Piece:
        """Sort what has come; a character is held back only while it may belong to a mark."""
        words, self._held = self._held + words, ""
        if self._phase == "before":
            written = words.lstrip()
            if self.start != "answer" and written.startswith(OPEN):
                self._phase, words = "thinking", written[len(OPEN) :]
            elif self.start != "answer" and OPEN.startswith(written):
                self._held = words
                return Piece()
            elif self.start == "thinking":
                self._phase = "thinking"
            else:
                self._phase, self._begun = "answer", True
        if self._phase == "answer":
            return Piece(answer=self._trimmed(words))
        return self._think(words)

    def finish(self) -> Piece:
        """What was held back, now that no more comes."""
        rest, self._held = self._held, ""
        if self._phase == "before" and self.start == "undecided":
            return Piece(answer=rest)
        return Piece(self._trimmed(rest))

    def _think(self, words: str) -> Piece:
        thought, mark, answer = words.partition(CLOSE)
        if not mark:
            sure = len(thought) - _possible_mark(thought)
            self._held = thought[sure:]
            return Piece(self._trimmed(thought[:sure]))
        thought = self._trimmed(thought)
        self._phase, self._begun = "answer", False
        return Piece(thought, self._trimmed(answer))

    def _trimmed(self, words: str) -> str:
        if not self._begun:
            words = words.lstrip()
            self._begun = words != ""
        return words


def separate(words: str, start: Start) -> Piece:
    """Tell the thinking from the answer of a whole output, as a stream of it would be told apart."""
    separator = Separator(start)
    first, last = separator.feed(words), separator.finish()
    return Piece(first.thinking + last.thinking, first.answer + last.answer)


def _possible_mark(words: str) -> int:
    """How many characters at the end may be the start of `</think>`."""
    begin = words.rfind("<", -len(CLOSE) + 1)
    return len(words) - begin if begin >= 0 and CLOSE.startswith(words[begin:]) else 0


# ---- prompts


def start_of_continuation(turn: str) -> Start:
    """Where words start that go on with an assistant's turn."""
    return _after(TURN + turn) or "undecided"


def start_after(prompt: Sequence[int], decode: Decode) -> Start:
    """Where words start that follow a prompt: its last mark says so, and a new turn is a mark too.

    A prompt of another template, without any, is taken to have opened the thinking.
    """
    for size in _sizes(len(prompt)):
        if start := _after(decode(prompt[len(prompt) - size :])):
            return start
    return "thinking"


def _after(words: str) -> Start | None:
    starts: dict[str, Start] = {OPEN: "thinking", TURN: "undecided", CLOSE: "answer"}
    place, mark = max((words.rfind(mark), mark) for mark in starts)
    return starts[mark] if place >= 0 else None


def _sizes(whole: int) -> list[int]:
    """Lengths of tails to look at, each twice the one before, up to the whole."""
    sizes = [_SHORTEST_TAIL << doubling for doubling in range(whole.bit_length())]
    return [*(size for size in sizes if size < whole), whole]


# ---- tokens of an output


def ends_within(tokens: Sequence[int], new: int, decode: Decode) -> bool:
    """Whether the thinking ends in the last `new` tokens; the tokens before them may belong to the prompt."""
    tail = new + len(CLOSE) - 1
    return _after(decode(tokens[max(0, len(tokens) - tail) :])) == "answer"


def closing_tokens(tokens: Sequence[int], decode: Decode, token: int | None) -> range | None:
    """Which tokens of an output spell its first `</think>`; `token` is the one that does so alone, if there is one."""
    if token is not None:
        return range(place := tokens.index(token), place + 1) if token in tokens else None
    begin = decode(tokens).find(CLOSE)
    if begin < 0:
        return None

    def length(count: int) -> int:
        return len(decode(tokens[:count]))

    counts = range(len(tokens) + 1)
    first = bisect_right(counts, begin, key=length) - 1
    return range(first, bisect_left(counts, begin + len(CLOSE), lo=first, key=length))
