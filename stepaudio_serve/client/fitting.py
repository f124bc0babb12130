"""How much fits into one request: arithmetic over tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ..errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Item = TypeVar("Item")

ASSUMED_CONTEXT = 16384
"""Tokens, for an endpoint that does not say: the default of this program and of the model's card."""

AUDIO_TOKENS_A_SECOND = 12.5
CLIP_TOKENS = 2
"""The marks before and after each clip."""

SHORTEST_CLIP_SECONDS = 20
"""Clips are cut at quiet places from 20 s to 25 s."""

ANSWER_TOKENS = 4096
"""Room for thinking and answer: the thinking alone takes 2300 to 2800 tokens."""

TEMPLATE_TOKENS = 64
"""What the chat template puts around one message, generously."""

BYTES_A_TOKEN = 2
"""Fewer than any language has on the average: English has 4, Chinese 3 to 4 in UTF-8."""

LONGEST_REQUEST_SECONDS = 1200.0
"""A request of the guard holds 64 clips and 64 MiB, which is 1280 s of clips of 20 s."""

SHORTEST_REQUEST_SECONDS = 60.0


def text_tokens(text: str) -> int:
    """At most so many tokens has a text."""
    return len(text.encode()) // BYTES_A_TOKEN + 1


def seconds_that_fit(
    context: int, prompt: str, *, max_tokens: int | None = None, answer_tokens_per_second: float = 0
) -> float:
    """How many seconds of audio leave room for the prompt, the thinking and the answer.

    Raises `SettingsError` when it is less than a minute.
    """
    room = context - TEMPLATE_TOKENS - text_tokens(prompt) - answer_room(context, max_tokens)
    each = AUDIO_TOKENS_A_SECOND + CLIP_TOKENS / SHORTEST_CLIP_SECONDS + answer_tokens_per_second
    seconds = min(room / each, LONGEST_REQUEST_SECONDS)
    if seconds < SHORTEST_REQUEST_SECONDS:
        raise SettingsError(
            f"a context of {context} tokens leaves room for {max(seconds, 0):.0f} s of audio",
            why=f"{answer_room(context, max_tokens)} tokens are kept for thinking and answer,"
            f" {text_tokens(prompt)} for the question",
            fix="a shorter question, a smaller --max-tokens, or an engine with a larger --max-model-len",
        )
    return seconds


def answer_room(context: int, max_tokens: int | None) -> int:
    """Tokens kept for thinking and answer."""
    return min(max_tokens or ANSWER_TOKENS, context // 2)


def packed(items: Iterable[Item], size: Callable[[Item], int], room: int) -> list[list[Item]]:
    """Consecutive groups, each as large as fits into the room; one that alone is too large has its own group."""
    groups: list[list[Item]] = []
    left = 0
    for item in items:
        needed = size(item)
        if not groups or needed > left:
            groups.append([])
            left = room
        groups[-1].append(item)
        left -= needed
    return groups
