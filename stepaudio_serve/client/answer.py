"""What an answer is made of: its thinking, its text, how it finished.

The prompt ends with `<think>`, so the model's words begin inside the thinking and `</think>` ends it. An
engine with a reasoning parser tells the two apart itself and sends the thinking in a field of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

OPEN = "<think>"
CLOSE = "</think>"


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece as the engine sent it; `reasoning` is thinking that the engine told apart itself."""

    content: str = ""
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class Thinking:
    """A piece of the thinking."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer proper."""

    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The end: why the engine stopped (`stop`, `length`, ...), and what it counted in tokens.

    `thinking_ended` is False when the words ended without a `</think>`. `notice` is what the guard changed in the
    question, in its words.
    """

    reason: str
    usage: Mapping[str, object] | None = None
    thinking_ended: bool = True
    notice: str = ""


Event: TypeAlias = Thinking | Text | Finish


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; `usage` in tokens, `seconds` from the question to the end, `first_token_s` to its first piece.

    `notice` is what the guard changed in the question, in its words; empty where nothing.
    """

    text: str
    thinking: str
    finish_reason: str
    usage: Mapping[str, object] | None
    seconds: float
    first_token_s: float | None = None
    notice: str = ""


def separate(parts: Iterable[Delta | Finish]) -> Iterator[Event]:
    """Tell thinking from text, however the pieces were cut.

    A character is held back only while it may belong to a mark. The marks and the white space before the
    thinking and before the text are dropped.
    """
    begun: set[type[Event]] = set()
    for event in _split(parts):
        if isinstance(event, Finish):
            yield event
            continue
        text = event.text if type(event) in begun else event.text.lstrip()
        if text:
            begun.add(type(event))
            yield replace(event, text=text)


def whole(events: Sequence[Event], *, seconds: float, first_token_s: float | None = None) -> Answer:
    """Put the pieces together, without the white space around thinking and text.

    An engine that stopped by itself and never ended its thinking has answered without thinking: then all its
    words are the text. Raises `ValueError` without a `Finish`.
    """
    finish = next((event for event in events if isinstance(event, Finish)), None)
    if finish is None:
        raise ValueError("the answer has no end")
    thinking = "".join(event.text for event in events if isinstance(event, Thinking)).strip()
    text = "".join(event.text for event in events if isinstance(event, Text)).strip()
    if finish.reason == "stop" and not finish.thinking_ended:
        thinking, text = "", thinking
    return Answer(text, thinking, finish.reason, finish.usage, seconds, first_token_s, finish.notice)


def _split(parts: Iterable[Delta | Finish]) -> Iterator[Event]:
    marks = _Marks()
    for part in parts:
        if isinstance(part, Finish):
            yield marks.rest()
            yield replace(part, thinking_ended=not marks.thinking)
            return
        if part.reasoning:
            marks.engine_separates = True
            yield Thinking(part.reasoning)
        if part.content:
            yield from marks.after(part.content)


@dataclass(slots=True)
class _Marks:
    """Where the words stand: before, between or after the marks; `held` may be the start of one."""

    held: str = ""
    opened: bool = False
    thinking: bool = True
    engine_separates: bool = False

    def after(self, content: str) -> Iterator[Thinking | Text]:
        if self.engine_separates or not self.thinking:
            self.thinking = False
            yield Text(content)
            return
        self.held += content
        if not self.opened:
            start = self.held.lstrip()
            if OPEN.startswith(start):
                return
            self.opened, self.held = True, start.removeprefix(OPEN)
        words, mark, text = self.held.partition(CLOSE)
        if mark:
            self.thinking, self.held = False, ""
            yield Thinking(words)
            yield Text(text)
        else:
            sure = len(words) - _possible_mark(words)
            self.held = words[sure:]
            yield Thinking(words[:sure])

    def rest(self) -> Thinking:
        return Thinking(self.held if self.opened else self.held.lstrip().removeprefix(OPEN))


def _possible_mark(words: str) -> int:
    """How many characters at the end may be the start of `</think>`."""
    return next((n for n in range(len(CLOSE) - 1, 0, -1) if words.endswith(CLOSE[:n])), 0)
