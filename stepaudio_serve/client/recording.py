"""Recordings: known by their bytes, not by their names, and cut into clips the engine survives.

Nothing is decoded here, so only PCM WAV can be measured and cut.
"""

from __future__ import annotations

import io
import shlex
import wave
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

AudioFormat: TypeAlias = Literal["wav", "mp3", "flac", "ogg"]

CLIP_SECONDS = 25
"""Length of a clip in seconds, as the model's authors cut their audio."""

LONGEST_CLIP_SECONDS = 29.98
"""The engine dies on a longer clip: 479680 samples at 16 kHz fill its encoder's 1500 positions."""

SHORTEST_REST_SECONDS = 1
"""A rest shorter than this many seconds stays with the clip before it, which then lasts 26 s at most."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A sound file: the name a person knows it by, its format and its bytes."""

    name: str
    format: AudioFormat
    data: bytes


def read_recording(path: Path) -> Recording:
    """Read a sound file.

    Raises `SettingsError` when it cannot be read, is empty, or is in a format the engine does not decode.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"Cannot read {path}.",
            why=error.strerror or str(error),
            fix=f"ls -l {shlex.quote(str(path))}",
        ) from error
    return recognise(data, name=str(path))


def recognise(data: bytes, *, name: str = "recording") -> Recording:
    """Give bytes their format.

    Raises `SettingsError` when there are none, or they are in a format the engine does not decode.
    """
    if not data:
        raise SettingsError(f"{name} is empty.", why="It has no bytes.", fix="Record it again.")
    sound_format = sniff(data)
    if sound_format is None:
        raise SettingsError(
            f"{name} is not in a format that the engine decodes.",
            why="Its first bytes are not those of WAV, MP3, FLAC or OGG. If it is a sound, it can be converted.",
            fix=as_wav(name),
        )
    return Recording(name, sound_format, data)


def as_wav(name: str) -> str:
    """The command that makes of a sound a WAV file, here, as the engine wants it: PCM, 16 kHz, mono."""
    path = Path(name)
    target = f"{path.stem}{'.16k' if path.suffix.lower() == '.wav' else ''}.wav"
    return f"ffmpeg -i {shlex.quote(name)} -ac 1 -ar 16000 {shlex.quote(target)}"


def sniff(data: bytes) -> AudioFormat | None:
    """The format that the first bytes announce; None when it is none of the four."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "wav"
    if data[:4] == b"fLaC":
        return "flac"
    if data[:4] == b"OggS":
        return "ogg"
    if data[:3] == b"ID3" or _starts_with_mp3_frame(data):
        return "mp3"
    return None


def clips(recording: Recording) -> Iterator[Recording]:
    """The recording, cut where it is a PCM WAV longer than a clip may be.

    Raises `SettingsError` for a WAV that is damaged or holds no sound.
    """
    sound = _pcm(recording)
    bounds = _bounds(sound.frames, sound.rate) if sound else []
    if sound is None or len(bounds) == 1:
        yield recording
        return
    for start, end in bounds:
        yield replace(recording, data=_wav(sound.between(start, end)))


def unmeasured(recordings: Iterable[Recording]) -> list[Recording]:
    """Those whose length is not checked: all but PCM WAV.

    One that lasts longer than `LONGEST_CLIP_SECONDS` ends an engine without a guard.
    Raises `SettingsError` for a WAV that is damaged or holds no sound.
    """
    return [recording for recording in recordings if _pcm(recording) is None]


@dataclass(frozen=True, slots=True)
class _Pcm:
    channels: int
    sample_bytes: int
    rate: int
    samples: bytes

    @property
    def frames(self) -> int:
        return len(self.samples) // (self.channels * self.sample_bytes)

    def between(self, start: int, end: int) -> _Pcm:
        frame_bytes = self.channels * self.sample_bytes
        return replace(self, samples=self.samples[start * frame_bytes : end * frame_bytes])


def _starts_with_mp3_frame(data: bytes) -> bool:
    """Eleven set bits, then a layer; layer 0 would be AAC in an ADTS frame (ISO 11172-3, 2.4.1.3)."""
    return len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0 and data[1] & 0x06 != 0


def _pcm(recording: Recording) -> _Pcm | None:
    """The samples of a PCM WAV; None for any other format and for a WAV of floats or compressed sound."""
    if recording.format != "wav":
        return None
    try:
        with wave.open(io.BytesIO(recording.data)) as file:
            samples = file.readframes(file.getnframes())
            sound = _Pcm(file.getnchannels(), file.getsampwidth(), file.getframerate(), samples)
    except (wave.Error, EOFError) as error:
        if str(error).startswith("unknown"):  # "unknown format: 3", "unknown extended format"
            return None
        raise _damaged(recording, str(error)) from error
    if sound.rate == 0:
        raise _damaged(recording, "Its header gives no sample rate.")
    if sound.frames == 0:
        raise SettingsError(
            f"{recording.name} holds no sound.",
            why="No samples follow its header, and an empty clip ends an engine without a guard.",
            fix="Record it again.",
        )
    return sound


def _damaged(recording: Recording, why: str) -> SettingsError:
    return SettingsError(
        f"{recording.name} is a damaged WAV file.",
        why=why or "It ends within its header.",
        fix="Record or convert it again.",
    )


def _bounds(frames: int, rate: int) -> list[tuple[int, int]]:
    """The first frame of each clip and the one after its last."""
    rest = SHORTEST_REST_SECONDS * rate
    starts = [start for start in range(0, frames, CLIP_SECONDS * rate) if start == 0 or frames - start >= rest]
    return list(zip(starts, [*starts[1:], frames], strict=True))


def _wav(sound: _Pcm) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(sound.channels)
        file.setsampwidth(sound.sample_bytes)
        file.setframerate(sound.rate)
        file.writeframes(sound.samples)
    return buffer.getvalue()
