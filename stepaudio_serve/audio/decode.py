"""Bytes of an audio file, whatever its name, to 16 kHz mono: by libsndfile, bounded while decoding."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from .errors import AudioError
from .lengths import promised_frames, with_true_length
from .pcm import SAMPLE_RATE
from .resample import resample
from .sniff import foreign_kind, is_readable
from .source import ByteSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .pcm import Samples

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000
"""Hz; outside there is no sound of this world, only headers that lie."""

MOST_VALUES_PER_SECOND = 192_000 * 8
"""Sample rate times channels: 7.1 surround at the highest rate that is recorded. Silence of more would be a few bytes
of FLAC and all of a core's time."""

_WORK_BEFORE_SOUND = 4.0
_WORK_PER_SECOND = 1 / 4
"""Seconds of a processor. The slowest that passes (MOST_VALUES_PER_SECOND of FLAC) takes about 1/8 for a second of
sound, Opus 1/30, a FLAC of speech 1/1500."""

_LOST_SECONDS = 0.25
"""Promised and not there, from which on it is said; encoders' padding and a last frame are less."""

_BLOCK_FRAMES = 1 << 14
_BLOCK_VALUES = 1 << 18
"""Samples of all channels read at a time: 1 MiB at most, and the unit between two looks at the clock."""

_LOUDEST = np.float32(1 << 15)
"""Beyond is cut off before filtering, where sums of the largest floats would overflow. Full scale is 1."""

_CONVERT = (
    "Convert it first: ffmpeg -i FILE -ar 16000 -ac 1 out.wav; or send it with `stepaudio-serve ask FILE`, "
    "which decodes whatever ffmpeg can."
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Most `seconds` of sound, and most `work_seconds` spent on decoding it, where None is no bound."""

    seconds: float | None = None
    work_seconds: float | None = None


def decode(
    data: bytes,
    limits: Limits,
    *,
    clock: Callable[[], float] = time.thread_time,
    on_damage: Callable[[float], None] | None = None,
) -> Iterator[Samples]:
    """The sound in `data` in blocks, its channels mixed to their mean.

    WAV (RIFF, RIFX, RF64, W64), FLAC, Ogg (Vorbis, Opus, FLAC), MP3, AIFF, AU and CAF are told by their bytes. A
    header that promises more than there is is not believed: seconds are counted as they are decoded. Samples beyond
    full scale stay.

    The work is timed by `clock` (seconds), without what the consumer does between blocks; by default in seconds of
    this thread's processor, so that no sound is too slow because the machine is busy. It may take 4 seconds and a
    quarter of what the sound lasts, `work_seconds` at most: what costs much and sounds little is given up early.

    Of a truncated or damaged file the sound before the damage is given, of several Ogg or MP3 files in a row the
    first. Where sound is missing, `on_damage` is called with the second from which on it is: at damage that cannot be
    read across, and where a WAV, FLAC or MP3 holds clearly less than its header promises. Other damage is not seen.

    Raises AudioError, at the first block or later.
    """
    work = _Work(limits.work_seconds, clock)
    produced = 0
    with _open(data, work) as file:
        promised = promised_frames(data, file.frames)
        for block in resample(_mono_blocks(file, work, promised, on_damage), file.samplerate):
            produced += len(block)
            work.produced(produced / SAMPLE_RATE)
            if limits.seconds is not None and produced > limits.seconds * SAMPLE_RATE:
                raise AudioError(
                    "too_long",
                    f"The audio is longer than the {limits.seconds:g} seconds that are allowed. Send a shorter part.",
                )
            with work.paused():
                yield block
    if not produced:
        raise AudioError("empty", "The audio file holds no sound: 0 samples.")


def _mono_blocks(
    file: soundfile.SoundFile, work: _Work, promised: int, on_damage: Callable[[float], None] | None
) -> Iterator[Samples]:
    """The file's frames at its own rate; ends at the first damage after sound."""
    shape = max(1, min(_BLOCK_FRAMES, _BLOCK_VALUES // file.channels)), file.channels
    weights = np.full(file.channels, 1 / file.channels, np.float32)
    given, whole = 0, True
    while whole:
        work.check()
        frames, whole = _read(file, np.full(shape, np.nan, np.float32))
        work.check()
        if not len(frames):
            break
        if not np.isfinite(frames).all():
            raise AudioError(
                "not_finite",
                "The audio holds samples that are no numbers (NaN) or infinite. Write it again as 16-bit PCM.",
            )
        given += len(frames)
        yield np.clip(frames[:, 0] if file.channels == 1 else frames @ weights, -_LOUDEST, _LOUDEST)
    if not (given or whole):
        raise AudioError("unreadable", f"The audio file is too damaged to decode. {_CONVERT}")
    if on_damage is not None and not (whole and promised - given <= _LOST_SECONDS * file.samplerate):
        on_damage(given / file.samplerate)


def _read(file: soundfile.SoundFile, buffer: Samples) -> tuple[Samples, bool]:
    """The next frames, and whether they were read without an error.

    On an error soundfile does not say how many frames came before it: they are those no longer NaN.
    """
    try:
        return file.read(out=buffer), True
    except soundfile.SoundFileError:
        untouched = np.isnan(buffer).all(axis=1)
        return buffer[: int(untouched.argmax())] if untouched.any() else buffer, False


class _Work:
    """The time spent so far, pauses left out, against its bound: a share of the sound made, and `seconds` at most."""

    def __init__(self, seconds: float | None, clock: Callable[[], float]) -> None:
        self._most = seconds
        self._allowed = None if seconds is None else min(seconds, _WORK_BEFORE_SOUND)
        self._clock = clock
        self._began = clock()

    def produced(self, seconds: float) -> None:
        """So much sound there is now."""
        if self._most is not None:
            self._allowed = min(self._most, _WORK_BEFORE_SOUND + seconds * _WORK_PER_SECOND)

    def is_over(self) -> bool:
        return self._allowed is not None and self._clock() - self._began > self._allowed

    def check(self) -> None:
        """Raises AudioError where the work has taken too long."""
        if self.is_over():
            raise AudioError(
                "too_slow",
                f"The audio could not be decoded within {self._allowed:.2g} seconds of work. Send a shorter part, or "
                "16 kHz mono WAV, which needs hardly any: ffmpeg -i FILE -ar 16000 -ac 1 out.wav",
            )

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The time inside does not count."""
        began = self._clock()
        try:
            yield
        finally:
            self._began += self._clock() - began


def _open(data: bytes, work: _Work) -> soundfile.SoundFile:
    """The file, if its bytes and its header are of the kind that is read here."""
    if not data:
        raise AudioError("empty", "The audio file is empty: 0 bytes.")
    if not is_readable(data):
        kind = foreign_kind(data)
        if kind is None:
            raise AudioError("unreadable", f"This is no audio file, by its first bytes. {_CONVERT}")
        raise AudioError("unsupported", f"This is {kind}, which is not decoded here. {_CONVERT}")
    source = ByteSource(*with_true_length(data), is_over=work.is_over)
    try:
        file = _SequentialFile(source)
    except (soundfile.SoundFileError, ValueError, TypeError) as error:
        work.check()
        raise AudioError("unreadable", f"The audio file is damaged or of an unknown kind. {_CONVERT}") from error
    source.opened()
    if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
        file.close()
        raise AudioError(
            "unsupported",
            f"The audio file says it has {file.samplerate} samples a second; {LOWEST_RATE} to {HIGHEST_RATE} can be "
            f"decoded. {_CONVERT}",
        )
    if file.samplerate * file.channels > MOST_VALUES_PER_SECOND:
        file.close()
        raise AudioError(
            "unsupported",
            f"The audio file says it has {file.channels} channels of {file.samplerate} samples a second; together at "
            f"most {MOST_VALUES_PER_SECOND} a second can be decoded (8 channels of 192000). {_CONVERT}",
        )
    return file


class _SequentialFile(soundfile.SoundFile):  # type: ignore[misc]
    """Read from front to back: soundfile would seek to the place it is at after every block, which costs much in
    compressed formats and is not exact in all."""

    def seekable(self) -> bool:
        return False
