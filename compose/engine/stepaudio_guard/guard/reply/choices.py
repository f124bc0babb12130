"""The choices of a chat completion, with their thinking in fields of its own.

Both names are given: `reasoning_content`, as DeepSeek and vLLM until 2025 have it, and vLLM's newer `reasoning`.
An engine that separates by itself sends one of them; then only the other is added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from .thinking import Separator, separate

if TYPE_CHECKING:
    from ..prepared import ThinkingMode

Json: TypeAlias = "dict[str, Any]"


class Choice:
    """One choice of a stream, from its first chunk to its last."""

    def __init__(self, mode: ThinkingMode) -> None:
        self._separator = Separator(opened=mode == "opened")
        self._engine_separates = False
        self._finished = False

    @property
    def settled(self) -> bool:
        """Whether all that is still to come is text, to the letter."""
        return self._separator.settled

    def change(self, choice: Json) -> bool:
        """Sort the words of a chunk's choice, in place; False where there was nothing to change."""
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return False
        if reasoning := _reasoning(delta):
            self._engine_separates = True
            return _name_twice(delta, reasoning)
        if self._engine_separates or self._separator.settled or self._finished:
            return False
        return self._sort(delta, choice.get("finish_reason"))

    def _sort(self, delta: Json, finish_reason: Any) -> bool:
        words = _words(delta.get("content"))
        thinking = text = ""
        if words:
            piece = self._separator.feed(words)
            thinking, text = piece.thinking, piece.text
        if finish_reason is not None:
            self._finished = True
            rest = self._separator.finish(finish_reason)
            thinking, text = thinking + rest.thinking, text + rest.text
        if not thinking and text == words:
            return False
        delta.pop("content", None)
        if thinking:
            _name_twice(delta, thinking)
        if text:
            delta["content"] = text
        return True


def separate_message(choice: Json, mode: ThinkingMode) -> None:
    """Sort the words of a whole answer's choice, in place."""
    message = choice.get("message")
    if not isinstance(message, dict):
        return
    words = message.get("content")
    if reasoning := _reasoning(message):
        _name_twice(message, reasoning)
    elif isinstance(words, str):
        answer = separate(words, choice.get("finish_reason") or "", mode)
        message["content"] = answer.text
        _name_twice(message, answer.thinking)
    else:
        _name_twice(message, None)


def _reasoning(message: Json) -> str:
    return _words(message.get("reasoning_content")) or _words(message.get("reasoning"))


def _words(value: object) -> str:
    return value if isinstance(value, str) else ""


def _name_twice(message: Json, reasoning: str | None) -> bool:
    before = len(message), message.get("reasoning_content"), message.get("reasoning")
    message["reasoning_content"] = message["reasoning"] = reasoning
    return before != (len(message), reasoning, reasoning)
