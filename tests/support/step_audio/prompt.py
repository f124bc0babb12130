"""Where sound goes in a prompt: a clip's placeholder becomes a start mark, a patch for every 80 ms, an end mark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

HOP = 160
APPENDED = 479
MOST_SAMPLES = 479_680


@dataclass(frozen=True, slots=True)
class Marks:
    """The ids of the three tokens around and in place of a clip."""

    start: int
    patch: int
    end: int


def frame_count(samples: int) -> int:
    """Mel frames of a clip at 16 kHz."""
    return (samples + APPENDED) // HOP


def patch_count(samples: int) -> int:
    """Tokens of a clip between its marks: four halvings of its frames, each with its own rounding."""
    if not 0 < samples <= MOST_SAMPLES:
        raise ValueError(f"a clip has 1 to {MOST_SAMPLES} samples, not {samples}")
    positions = (frame_count(samples) + 1) // 2
    return (positions // 2 + 2 - 3) // 2 + 1


def expand(ids: Iterable[int], clips: Iterable[int], marks: Marks) -> list[int]:
    """A prompt with one placeholder a clip, as the model reads it; `clips` are their samples in order."""
    counts = iter([patch_count(samples) for samples in clips])
    expanded: list[int] = []
    for token in ids:
        if token == marks.patch:
            expanded += [marks.start, *[marks.patch] * next(counts), marks.end]
        else:
            expanded.append(token)
    if next(counts, None) is not None:
        raise ValueError("there are more clips than placeholders")
    return expanded
