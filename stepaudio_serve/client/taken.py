"""Sounds read as far as one request reaches, and the rest of them still to be read."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..audio.pcm import SAMPLE_RATE
from .sound import samples_of
from .windows import take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..audio.pcm import Samples
    from .sound import Sound


@dataclass(frozen=True, slots=True)
class Stream:
    """A sound's samples: the blocks that were read so far, and the rest."""

    held: deque[Samples]
    rest: Iterator[Samples]

    def held_seconds(self) -> float:
        """How much of it was read so far."""
        return sum(map(len, self.held)) / SAMPLE_RATE

    def blocks(self) -> Iterator[Samples]:
        """All of them; those that were held are let go one by one."""
        while self.held:
            yield self.held.popleft()
        yield from self.rest


def taken(
    sounds: Sequence[Sound], seconds: float, on_damage: Callable[[Sound, float], None]
) -> tuple[list[Stream], bool]:
    """The sounds' samples, read until they are more than `seconds`; and whether they are not."""
    streams: list[Stream] = []
    fits = True
    for sound in sounds:
        blocks = samples_of(sound, on_damage=partial(on_damage, sound))
        held: list[Samples] = []
        if fits:
            held, fits = take(blocks, seconds)
            seconds -= sum(map(len, held)) / SAMPLE_RATE
        streams.append(Stream(deque(held), blocks))
    return streams, fits
