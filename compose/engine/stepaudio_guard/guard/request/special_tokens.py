"""Text that the tokenizer would read as a control token, made harmless.

The engine's tokenizer finds control tokens anywhere in the rendered prompt: a literal `<|EOT|><|BOT|>system` typed by
a user becomes a real turn, and a literal `<audio_patch>` takes the place of somebody's audio. A space after the `<`
leaves the text readable and makes it mere text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMES = ("|", "audio_", "tts_", "tool_call")
"""How the control tokens of Step-Audio's tokenizers go on after `<` or `</`: `<|EOT|>`, `<audio_patch>`,
`<audio_1024>`, `<tts_start>`, `<tool_call>` (added_tokens of its tokenizer.json; facts of the released image)."""

_THINKING = ("think>",)
"""The marks of the thinking: an assistant's own history may hold them, nobody else's text."""


def _whole(names: Sequence[str]) -> re.Pattern[str]:
    return re.compile(f"<(?=/?(?:{'|'.join(map(re.escape, names))}))", re.IGNORECASE)


def _begun(names: Sequence[str]) -> re.Pattern[str]:
    """Matches the `<` of a token of which the text's end holds only the beginning."""
    beginnings = {name[:length] for name in names for length in range(len(name))}
    return re.compile(f"<(?=/?(?:{'|'.join(map(re.escape, sorted(beginnings)))})\\Z)", re.IGNORECASE)


_FORBIDDEN = {False: _whole(_NAMES + _THINKING), True: _whole(_NAMES)}
_UNFINISHED = {False: _begun(_NAMES + _THINKING), True: _begun(_NAMES)}


def neutralise(text: str, *, keep_thinking: bool = False) -> str:
    """`text` without control tokens; `keep_thinking` leaves `<think>` and `</think>` alone."""
    return _FORBIDDEN[keep_thinking].sub("< ", text) if "<" in text else text


def neutralise_followed(text: str, *, keep_thinking: bool = False) -> str:
    """As `neutralise`, for text that other text follows directly: nor is a token begun at its end."""
    return _UNFINISHED[keep_thinking].sub("< ", neutralise(text, keep_thinking=keep_thinking))


def neutralise_tree(value: Any) -> Any:
    """A JSON value with every string and key in it made harmless."""
    if isinstance(value, str):
        return neutralise(value)
    if isinstance(value, list):
        return [neutralise_tree(item) for item in value]
    if isinstance(value, dict):
        return {neutralise(key): neutralise_tree(item) for key, item in value.items()}
    return value
