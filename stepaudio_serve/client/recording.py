"""Recordings as they are sent: clips of 16 kHz mono 16-bit WAV that the engine survives.

Nothing here decodes or needs more than the standard library; `sound.py` makes recordings of files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Clip:
    """A WAV file of at most 25 s: the engine dies of one that is longer than 29.98 s."""

    wav: bytes = field(repr=False)
    seconds: float


@dataclass(frozen=True, slots=True)
class Recording:
    """A sound, whole or a part of one: the name a person knows it by, and its clips in their order."""

    name: str
    clips: tuple[Clip, ...]

    @property
    def seconds(self) -> float:
        """Its length."""
        return sum(clip.seconds for clip in self.clips)


def read_recording(path: Path) -> Recording:
    """Read any file with sound in it, told by its bytes, whole into memory (32 kB a second).

    Raises `SettingsError` when it cannot be read, or holds no sound that can be decoded.
    """
    from .sound import open_sound, recorded, samples_of

    return recorded(samples_of(open_sound(path)), name=str(path))
