"""Sounds made for these tests: tones as samples, and as files written by libsndfile and by FFmpeg."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import soundfile

if TYPE_CHECKING:
    from numpy.typing import NDArray


def tone(rate: int, seconds: float, hertz: float = 440, amplitude: float = 0.5) -> NDArray[np.float32]:
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def sound_file(samples: NDArray[Any], rate: int, form: str = "WAV", subtype: str | None = "PCM_16") -> bytes:
    """Frames or frames x channels as a file; written a little at a time, as libsndfile's Vorbis needs it."""
    file = io.BytesIO()
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with soundfile.SoundFile(file, "w", rate, channels, subtype, format=form) as sound:
        for start in range(0, len(samples), 4096):
            sound.write(samples[start : start + 4096])
    return file.getvalue()


def raw_wav(
    samples: bytes, *, rate: int = 16000, channels: int = 1, bits: int = 16, tag: int = 1, data_bytes: int | None = None
) -> bytes:
    """A WAV file whose header says just what it is told to."""
    frame = channels * bits // 8
    size = len(samples) if data_bytes is None else data_bytes
    return b"".join(
        (
            struct.pack("<4sI4s", b"RIFF", min(36 + size, 0xFFFFFFFF), b"WAVE"),
            struct.pack(
                "<4sIHHIIHH", b"fmt ", 16, tag, channels, rate, rate * frame & 0xFFFFFFFF, frame & 0xFFFF, bits
            ),
            struct.pack("<4sI", b"data", size),
            samples,
        )
    )


def media_file(
    container: str, codec: str, samples: NDArray[np.float32], rate: int, layout: str = "mono", *, video: bool = False
) -> bytes:
    """The same sound from every loudspeaker, as FFmpeg writes it; with a small black picture on request."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        picture = output.add_stream("mpeg4", rate=5, width=32, height=32, pix_fmt="yuv420p") if video else None
        resampler = av.AudioResampler(stream.format, layout, rate, frame_size=stream.frame_size or 1024)
        channels = av.AudioLayout(layout).nb_channels
        frame = av.AudioFrame.from_ndarray(np.stack([samples] * channels), "fltp", layout)
        frame.sample_rate = rate
        frame.pts = 0
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
        if picture is not None:
            for _ in range(round(5 * len(samples) / rate)):
                output.mux(picture.encode(av.VideoFrame(32, 32, "yuv420p")))
            output.mux(picture.encode(None))
    return file.getvalue()


def loudness_of(samples: NDArray[np.float32], hertz: float, rate: int = 16000) -> float:
    """The amplitude of one tone within the sound, its edges left out."""
    middle = samples[len(samples) // 5 : -len(samples) // 5]
    turning = np.exp(-2j * np.pi * hertz * np.arange(len(middle)) / rate)
    window = np.hanning(len(middle))
    return float(2 * abs(np.sum(middle * turning * window)) / window.sum())
