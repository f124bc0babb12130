"""Sound files made in code: ordinary ones, odd ones, lying ones, and small ones that unfold into much."""

from __future__ import annotations

import io
import struct
from functools import cache
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import soundfile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Frames: TypeAlias = NDArray[np.float32]

RATE = 16000
LOW, HIGH = 250, 2000
"""Pitches in Hz that the tiny listener names: `I hear a low tone.`, `I hear a high tone.`"""

Kind = Literal["low tone", "high tone", "noise", "silence"]

PCM, FLOAT = 1, 3
"""Codes of WAV's `fmt ` chunk."""


def tone(hertz: float, seconds: float, *, rate: int = RATE, channels: int = 1, level: float = 0.4) -> Frames:
    """A sine, one row a frame."""
    wave = level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def sound(kind: Kind, seconds: float, *, rate: int = RATE, channels: int = 1) -> Frames:
    """A sound that the tiny listener can name."""
    if kind == "noise":
        mono = np.random.default_rng(1).normal(0, 0.2, (round(seconds * rate), 1))
        return np.repeat(mono, channels, axis=1).astype(np.float32)
    pitch = {"low tone": LOW, "high tone": HIGH, "silence": 0}[kind]
    return tone(pitch, seconds, rate=rate, channels=channels)


def encode(frames: Frames, *, rate: int = RATE, form: str = "WAV", subtype: str = "PCM_16") -> bytes:
    """A file as libsndfile writes it."""
    file = io.BytesIO()
    soundfile.write(file, frames, rate, format=form, subtype=subtype)
    return file.getvalue()


def wav(kind: Kind = "low tone", seconds: float = 2.0) -> bytes:
    """An ordinary clip: 16 bit, 16 kHz, mono."""
    return encode(sound(kind, seconds))


def riff(
    data: bytes,
    *,
    code: int = PCM,
    channels: int = 1,
    rate: int = RATE,
    bits: int = 16,
    data_size: int | None = None,
    riff_size: int | None = None,
) -> bytes:
    """A WAV file that says of itself what it is told to say, right or wrong."""
    frame = max(1, channels * bits // 8) % 65536
    form = struct.pack("<HHIIHH", code, channels, rate, rate * frame % (1 << 32), frame, bits)
    size = len(data) if data_size is None else data_size
    chunks = b"WAVE" + struct.pack("<4sI", b"fmt ", len(form)) + form + struct.pack("<4sI", b"data", size) + data
    return struct.pack("<4sI", b"RIFF", len(chunks) if riff_size is None else riff_size) + chunks


def float_wav(*values: float, seconds: float = 1.0) -> bytes:
    """A WAV of 32-bit floats with `values` in its middle: a place for NaN and infinity."""
    samples = tone(LOW, seconds)[:, 0]
    samples[len(samples) // 2 :][: len(values)] = values
    return riff(samples.astype("<f4").tobytes(), code=FLOAT, bits=32)


@cache
def long_file(
    form: str, subtype: str, minutes: int, *, rate: int = RATE, channels: int = 1, loud: bool = False
) -> bytes:
    """A long file, written a minute at a time; silent unless `loud`, and then tiny for its length."""
    file = io.BytesIO()
    minute = tone(LOW, 60, rate=rate, channels=channels, level=0.4 if loud else 0.0)
    with soundfile.SoundFile(file, "w", rate, channels, subtype, format=form) as writer:
        for _ in range(minutes):
            writer.write(minute)
    return file.getvalue()


@cache
def movie(seconds: float = 2.0, *, form: str = "mp4", codec: str = "aac") -> bytes:
    """A film of grey frames with a low tone."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        picture = container.add_stream("mpeg4", rate=10)
        picture.width = picture.height = 32
        picture.pix_fmt = "yuv420p"
        voice = container.add_stream(codec, rate=RATE, layout="mono")
        grey = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 128, np.uint8), format="rgb24")
        for number in range(round(seconds * 10)):
            grey.pts = number
            container.mux(picture.encode(grey))
        container.mux(picture.encode(None))
        samples = tone(LOW, seconds)[:, 0]
        for at in range(0, len(samples) - 1024, 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, at : at + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = RATE, at
            container.mux(voice.encode(frame))
        container.mux(voice.encode(None))
    return file.getvalue()


ODD_FORMATS: dict[str, tuple[str, str, int, int]] = {
    "8-bit WAV": ("WAV", "PCM_U8", RATE, 1),
    "24-bit WAV": ("WAV", "PCM_24", RATE, 1),
    "32-bit WAV": ("WAV", "PCM_32", RATE, 1),
    "float64 WAV": ("WAV", "DOUBLE", RATE, 1),
    "u-law WAV at 8 kHz": ("WAV", "ULAW", 8000, 1),
    "4-bit IMA ADPCM": ("WAV", "IMA_ADPCM", RATE, 1),
    "4-bit MS ADPCM": ("WAV", "MS_ADPCM", RATE, 1),
    "2-bit NMS ADPCM": ("WAV", "NMS_ADPCM_16", 8000, 1),
    "3-bit G.723": ("AU", "G723_24", 8000, 1),
    "GSM 6.10": ("WAV", "GSM610", 8000, 1),
    "192 kHz": ("WAV", "PCM_24", 192000, 1),
    "11,025 Hz": ("WAV", "PCM_16", 11025, 1),
    "8 channels": ("WAV", "PCM_16", 48000, 8),
    "FLAC": ("FLAC", "PCM_24", 44100, 2),
    "OGG Vorbis": ("OGG", "VORBIS", 44100, 2),
    "OGG Opus": ("OGG", "OPUS", 48000, 1),
    "MP3": ("MP3", "MPEG_LAYER_III", 44100, 2),
    "AIFF": ("AIFF", "PCM_16", RATE, 1),
    "RF64": ("RF64", "PCM_16", RATE, 1),
}
"""Name -> format, subtype, rate, channels, as libsndfile calls them."""


def odd(name: str) -> bytes:
    """Two seconds of a low tone in one of ODD_FORMATS."""
    form, subtype, rate, channels = ODD_FORMATS[name]
    return encode(sound("low tone", 2.0, rate=rate, channels=channels), rate=rate, form=form, subtype=subtype)
