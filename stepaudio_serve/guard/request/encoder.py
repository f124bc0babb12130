"""What one step of the engine's audio encoder may be made to hold.

The released engine fills a step with clips by their tokens, and pads all of them to the longest: many short clips
beside a long one need memory that nobody measured when the engine chose its KV cache. Inferred from the fork's
source; no GPU was at hand to run out of memory on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..refusal import bad_request
from .context import audio_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

STEP_TOKENS = 2048
"""The smaller of the fork's defaults for a step (`max_num_batched_tokens`, on cards below 70 GiB)."""

PROFILED_SECONDS = STEP_TOKENS // 365 * 29
"""Seconds of audio in the fork's own measurement at start-up: 5 clips of 29 s, 365 tokens each."""

MOST_PADDED_SECONDS = 2 * PROFILED_SECONDS
"""Twice what was measured is 2 GiB more (0.4 GiB a clip): less than the tenth of a card that is left free."""


def check_padding(seconds: Sequence[float]) -> None:
    """Raise RefusedError where clips of these lengths could make one step far larger than any that was measured."""
    if not seconds:
        return
    *others, longest = sorted(seconds)
    room, count = STEP_TOKENS - audio_tokens([longest]), 1
    for clip in others:
        room -= audio_tokens([clip])
        if room < 0:
            break
        count += 1
    if count * longest > MOST_PADDED_SECONDS:
        raise bad_request(
            "audio_too_uneven",
            f"The request holds {len(seconds)} clips, from {min(seconds):.1f} to {longest:.1f} s. The engine pads "
            f"{count} of them to the longest at once, {count * longest:.0f} s, and has room for "
            f"{MOST_PADDED_SECONDS} s. Send the short ones and the long ones in requests of their own.",
            "messages",
        )
