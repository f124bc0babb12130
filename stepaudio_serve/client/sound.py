"""Sounds as people have them: any file, or a stream, as samples a block at a time."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from ..audio.errors import AudioError
from ..audio.media import decode_media, probe
from ..audio.pcm import SAMPLE_RATE
from ..audio.pieces import cut
from ..audio.wav import wav_bytes
from ..errors import SettingsError
from .recording import Clip, Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from ..audio.pcm import Samples


@dataclass(frozen=True, slots=True)
class Sound:
    """A file with sound in it: the name a person knows it by, and its length as far as the file says (seconds)."""

    name: str
    source: Path | BinaryIO
    seconds: float | None


def open_sound(path: Path) -> Sound:
    """Look at a file. Raises `SettingsError` when it cannot be read, or no sound in it can be decoded."""
    return _probed(str(path), path)


def kept(stream: BinaryIO, name: str = "standard input") -> Sound:
    """A stream kept in a temporary file, since decoders go back and forth. Raises as `open_sound` does."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the sound
    shutil.copyfileobj(stream, file)
    if not file.tell():
        raise SettingsError(f"{name} is empty", fix="stepaudio-serve ask - < FILE")
    file.seek(0)
    return _probed(name, file)


def samples_of(sound: Sound, *, on_damage: Callable[[float], None] | None = None) -> Iterator[Samples]:
    """Its samples, a block at a time; `on_damage` hears of each place (seconds) where some are missing.

    Raises `SettingsError` where they cannot be decoded, and without `on_damage` where some are missing.
    """
    try:
        yield from decode_media(sound.source, on_damage=on_damage)
    except AudioError as error:
        raise _unheard(sound.name, error) from error
    except OSError as error:
        raise _unreadable(sound.name, error) from error


def recorded(blocks: Iterable[Samples], *, name: str) -> Recording:
    """Samples as they are sent. Raises `SettingsError` when there are none."""
    clips = tuple(Clip(wav_bytes(piece), len(piece) / SAMPLE_RATE) for piece in cut(blocks))
    if not clips:
        raise SettingsError(f"{name} holds no sound", why="no samples are in it", fix="record it again")
    return Recording(name, clips)


def _probed(name: str, source: Path | BinaryIO) -> Sound:
    try:
        return Sound(name, source, probe(source).seconds)
    except AudioError as error:
        raise _unheard(name, error) from error
    except OSError as error:
        raise _unreadable(name, error) from error


def _unheard(name: str, error: AudioError) -> SettingsError:
    return SettingsError(f"{name} cannot be heard", why=str(error), fix=f"file {shlex.quote(name)}")


def _unreadable(name: str, error: OSError) -> SettingsError:
    return SettingsError(f"{name} cannot be read", why=error.strerror or str(error), fix=f"ls -l {shlex.quote(name)}")
