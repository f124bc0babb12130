"""Cutting sound at quiet places."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .pcm import PIECE_SECONDS, SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .pcm import Samples

_SEARCH_SECONDS = 5.0
"""How far before the latest possible place a quiet one is looked for."""

_STEP = SAMPLE_RATE // 100
_FRAME_STEPS = 4
"""Loudness is taken over frames of 40 ms, every 10 ms."""


def cut(blocks: Iterable[Samples], *, seconds: float = PIECE_SECONDS) -> Iterator[Samples]:
    """Consecutive pieces of at most `seconds` each, cut at quiet places; together exactly the `blocks`.

    A piece ends where 40 ms are quietest within the last 5 s (a fifth of `seconds` where that is less). The last two
    are balanced: where anything is cut at all, no piece is shorter than 0.3 x `seconds`. Holds less than two pieces
    and a block at a time. No sound, no pieces.
    """
    longest = max(1, int(seconds * SAMPLE_RATE))
    search = min(round(_SEARCH_SECONDS * SAMPLE_RATE), longest // 5)
    ahead = 2 * longest - search
    held: list[Samples] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += len(block)
        if count > ahead:
            rest = np.concatenate(held)
            while len(rest) > ahead:
                place = _quiet_place(rest, longest - search, longest)
                yield rest[:place]
                rest = rest[place:]
            held, count = [rest.copy()], len(rest)
    rest = np.concatenate(held) if held else np.zeros(0, np.float32)
    held.clear()
    yield from _last_pieces(rest, longest, search)


def _last_pieces(rest: Samples, longest: int, search: int) -> Iterator[Samples]:
    """`rest` whole where it is short enough, else in two near its middle."""
    if len(rest) > longest:
        middle = len(rest) // 2
        place = _quiet_place(rest, middle - search // 2, middle + search // 2)
        yield rest[:place]
        rest = rest[place:]
    if len(rest):
        yield rest


def _quiet_place(samples: Samples, earliest: int, latest: int) -> int:
    """The middle of the quietest frame between two places; the later of equals, the latest where no frame fits."""
    steps = (latest - earliest) // _STEP
    if steps < _FRAME_STEPS:
        return latest
    searched = samples[latest - steps * _STEP : latest].astype(np.float64).reshape(steps, _STEP)
    energy = np.convolve(np.einsum("ij,ij->i", searched, searched), np.ones(_FRAME_STEPS), "valid")
    from_the_end = int(np.argmin(energy[::-1]))
    return latest - (from_the_end * _STEP + _FRAME_STEPS * _STEP // 2)
