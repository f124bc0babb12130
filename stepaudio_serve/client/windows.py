"""Long audio in windows that overlap, each cut where it is quiet; only one window is held at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..audio.pcm import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..audio.pcm import Samples

OVERLAP_SECONDS = 12.0
"""What two windows share: some 30 words of speech, of which those at the edges may be misheard."""

SEARCH_SECONDS = 5.0
"""How far before the ideal place a quieter one is looked for."""

SHORTEST_REST_SECONDS = 30.0
"""No window is shorter, but a recording that is: what remains is shared by the last two."""

SHORTEST_WINDOW_SECONDS = 2 * (OVERLAP_SECONDS + SEARCH_SECONDS) + 1
"""Windows must be longer than their two overlaps."""

FRAME_SECONDS = 0.02
PAUSE_FRAMES = 15
"""A pause between words is 0.3 s; the gaps within a word are shorter."""

SILENT_RMS = 0.001
"""-60 dB of full scale: nobody speaks below it."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of sound from `start` to `end` (seconds).

    `overlap` (seconds) at its beginning were heard in the window before; `silent_overlap` says that nothing is
    said in them.
    """

    start: float
    samples: Samples
    overlap: float = 0.0
    silent_overlap: bool = False

    @property
    def end(self) -> float:
        """Where it ends."""
        return self.start + len(self.samples) / SAMPLE_RATE

    def blocks(self) -> Iterator[Samples]:
        """Its samples a second at a time, for who would copy them."""
        for begin in range(0, len(self.samples), SAMPLE_RATE):
            yield self.samples[begin : begin + SAMPLE_RATE]


def take(blocks: Iterator[Samples], seconds: float) -> tuple[list[Samples], bool]:
    """The first blocks, of `seconds` at least where there are so many, and whether that was all."""
    wanted, taken = _count(seconds), []
    have = 0
    for block in blocks:
        taken.append(block)
        have += len(block)
        if have > wanted:
            return taken, False
    return taken, True


def windows(
    blocks: Iterable[Samples], *, seconds: float, overlap: float = OVERLAP_SECONDS, start: float = 0.0
) -> Iterator[Window]:
    """Windows of at most `seconds`, which must be more than twice the overlap.

    `start` is where the first block stands in its recording. Nothing is yielded for no sound.
    """
    if seconds <= 2 * (overlap + SEARCH_SECONDS):
        raise ValueError(f"windows of {seconds:g} s are too short for an overlap of {overlap:g} s")
    longest = _count(seconds)
    rest = min(_count(SHORTEST_REST_SECONDS), longest // 4)
    held: list[Samples] = []
    have, begin, shared, silent = 0, _count(start), 0, False
    for block in blocks:
        held.append(block)
        have += len(block)
        while have > longest + rest:
            window = np.concatenate(held)
            end = _quietest(window, longest)
            again = _quietest(window, end - _count(overlap))
            held, have = [window[again:].copy()], len(window) - again
            shared_now, silent_now = end - again, is_silent(window[again:end])
            yield _window(begin, window[:end], shared, silent=silent)
            begin, shared, silent = begin + again, shared_now, silent_now
    if not have:
        return
    window = np.concatenate(held)
    if have > longest:
        end = _quietest(window, (have + _count(overlap) + _count(SEARCH_SECONDS)) // 2)
        again = _quietest(window, end - _count(overlap))
        yield _window(begin, window[:end], shared, silent=silent)
        silent = is_silent(window[again:end])
        begin, shared, window = begin + again, end - again, window[again:]
    yield _window(begin, window, shared, silent=silent)


def halves(window: Window, overlap: float = OVERLAP_SECONDS) -> list[Window]:
    """The same sound in two windows or three, for one that was too long; one that cannot be shorter stays whole."""
    length = window.end - window.start
    smaller = length / 2 + overlap + SEARCH_SECONDS
    if smaller >= length or smaller <= 2 * (overlap + SEARCH_SECONDS):
        return [window]
    first, *others = windows([window.samples], seconds=smaller, overlap=overlap, start=window.start)
    return [Window(first.start, first.samples, window.overlap, window.silent_overlap), *others]


def expected_count(total: float, seconds: float, overlap: float = OVERLAP_SECONDS) -> int:
    """About how many windows a recording of `total` seconds becomes."""
    step = seconds - overlap - SEARCH_SECONDS
    return 1 if total <= seconds else 1 + max(1, -int(-(total - seconds) // step))


def is_silent(samples: Samples) -> bool:
    """Whether no frame of it is loud enough for speech."""
    levels = _levels(samples)
    return not len(levels) or float(levels.max()) < SILENT_RMS**2


def _window(begin: int, samples: Samples, shared: int, *, silent: bool) -> Window:
    return Window(begin / SAMPLE_RATE, samples, shared / SAMPLE_RATE, silent)


def _quietest(samples: Samples, latest: int) -> int:
    """The middle of the quietest pause in the seconds that end with `latest`; of equals the last."""
    earliest = latest - _count(SEARCH_SECONDS)
    levels = _levels(samples[earliest:latest])
    smooth = np.convolve(levels, np.ones(PAUSE_FRAMES), mode="valid")
    pause = len(smooth) - 1 - int(smooth[::-1].argmin())
    return earliest + (pause + PAUSE_FRAMES // 2) * _count(FRAME_SECONDS)


def _levels(samples: Samples) -> Samples:
    """The mean power of each frame."""
    frame = _count(FRAME_SECONDS)
    whole = samples[: len(samples) // frame * frame].reshape(-1, frame)
    power: Samples = np.einsum("ij,ij->i", whole, whole) / frame
    return power


def _count(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)
