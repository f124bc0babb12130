"""What can be measured of a clip without a model: length, format, level and pitch."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

MEASURED_SECONDS = 600
"""Of a longer clip only the beginning is decoded, so a small file cannot fill the memory."""

PITCH_RANGE_HZ = (50.0, 4000.0)
FINENESS = 8
"""Steps of the autocorrelation's lag in a sample, so that high tones fall on a step too."""

CLEAR_PITCH = 0.6
"""Least height of the autocorrelation's peak, relative to its height at no lag, that counts as a pitch."""


class UndecodableError(ValueError):
    """The bytes are no audio file that libsndfile reads."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Levels are in dB relative to full scale, None for silence; `pitch_hz` is None where none is clear."""

    seconds: float
    sample_rate: int
    channels: int
    level_dbfs: float | None
    peak_dbfs: float | None
    pitch_hz: float | None


def listen(data: bytes) -> Clip:
    """Decode WAV, FLAC, OGG or MP3, whatever it is called, and measure it. Raises UndecodableError."""
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate, channels, frames = file.samplerate, file.channels, file.frames
            samples = file.read(MEASURED_SECONDS * rate, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, ValueError, TypeError) as error:
        raise UndecodableError(str(error)) from None
    length = max(frames, len(samples)) if len(samples) == MEASURED_SECONDS * rate else len(samples)
    return measure(samples, rate, seconds=length / rate, channels=channels)


def measure(samples: Samples, rate: int, *, seconds: float, channels: int) -> Clip:
    """Measure decoded samples, one row a frame, full scale at 1.0."""
    import numpy as np

    if samples.size == 0:
        return Clip(seconds, rate, channels, None, None, None)
    return Clip(
        seconds=seconds,
        sample_rate=rate,
        channels=channels,
        level_dbfs=_decibels(float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))),
        peak_dbfs=_decibels(float(np.abs(samples).max())),
        pitch_hz=pitch(samples.mean(axis=1), rate),
    )


def pitch(mono: Samples, rate: int) -> float | None:
    """The fundamental of the loudest half second in Hz, by autocorrelation; None where none is clear."""
    import numpy as np

    window = _loudest(mono, rate // 2)
    window = window - window.mean()
    size = len(window)
    shortest = max(1, math.floor(FINENESS * rate / PITCH_RANGE_HZ[1]))
    longest = min(FINENESS * size // 2, math.ceil(FINENESS * rate / PITCH_RANGE_HZ[0]))
    energy = float(window @ window)
    if longest <= shortest + 1 or energy < size * 1e-8:
        return None
    power = np.abs(np.fft.rfft(window, 2 * size)) ** 2
    lags = np.arange(longest + 2)
    overlap = np.fft.irfft(power, 2 * size * FINENESS)[: longest + 2] * FINENESS / energy
    likeness = overlap * size / (size - lags / FINENESS)
    inner = slice(shortest, longest + 1)
    before, after = likeness[shortest - 1 : longest], likeness[shortest + 1 : longest + 2]
    peaks = lags[inner][(likeness[inner] >= before) & (likeness[inner] > after)]
    if peaks.size == 0 or likeness[peaks].max() < CLEAR_PITCH:
        return None
    lag = int(peaks[likeness[peaks] >= 0.9 * likeness[peaks].max()][0])
    left, top, right = (float(likeness[lag + step]) for step in (-1, 0, 1))
    return FINENESS * rate / (lag + (left - right) / (2 * (left - 2 * top + right)))


def _loudest(mono: Samples, size: int) -> Samples:
    import numpy as np

    if len(mono) <= size:
        return mono
    energy = np.concatenate(([0.0], np.cumsum(np.square(mono, dtype=np.float64))))
    start = int((energy[size:] - energy[:-size]).argmax())
    return mono[start : start + size]


def _decibels(amplitude: float) -> float | None:
    return 20 * math.log10(amplitude) if amplitude > 1e-7 else None
