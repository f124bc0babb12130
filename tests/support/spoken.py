"""Speech that a test can hear exactly: each word is a tone of its own, with a pause after it.

A word lasts WORD_SECONDS with its pause, so the ends of a cut may fall into it: then it is misheard.
"""

from __future__ import annotations

import base64
import io
import wave
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

RATE = 16000
WORD_SECONDS = 0.5
TONE_SECONDS = 0.35
LOWEST_HZ = 200
STEP_HZ = 20
WORDS = 300
"""Tones from 200 Hz to 6180 Hz."""

_PAUSE = 200
"""Samples of silence that end a tone; none of its waves has so many near zero."""

_LEAST_WHOLE = 0.8
"""A tone of which less was heard is misheard."""


def sentence(numbers: Sequence[int]) -> str:
    return " ".join(f"word{number}" for number in numbers)


def speech(numbers: Sequence[int]) -> NDArray[np.float32]:
    """The words as samples."""
    times = np.arange(round(TONE_SECONDS * RATE)) / RATE
    sound = np.zeros((len(numbers), round(WORD_SECONDS * RATE)), np.float32)
    for place, number in enumerate(numbers):
        sound[place, : len(times)] = 0.5 * np.sin(2 * np.pi * (LOWEST_HZ + STEP_HZ * number) * times)
    return sound.reshape(-1)


def heard(samples: NDArray[np.float32]) -> str:
    """The words in some samples; one that was cut into is misheard."""
    return " ".join(_words(samples))


def samples_in(body: dict[str, Any]) -> NDArray[np.float32]:
    """All the sound of a request's last message, in its order."""
    parts = body["messages"][-1]["content"]
    clips = [part["input_audio"]["data"] for part in parts if part["type"] == "input_audio"]
    return np.concatenate([_wav_samples(base64.b64decode(clip)) for clip in clips] or [np.zeros(0, np.float32)])


def text_in(body: dict[str, Any]) -> str:
    """The words of a request's last message."""
    return "".join(part["text"] for part in body["messages"][-1]["content"] if part["type"] == "text")


def _words(samples: NDArray[np.float32]) -> Iterator[str]:
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    for tone in np.split(loud, np.flatnonzero(np.diff(loud) > _PAUSE) + 1):
        if not len(tone):
            return
        if tone[-1] - tone[0] < _LEAST_WHOLE * TONE_SECONDS * RATE:
            yield "mumble"
            continue
        spectrum = np.abs(np.fft.rfft(samples[tone[0] : tone[-1]], 1 << 13))
        hertz = spectrum.argmax() * RATE / (1 << 13)
        yield f"word{round((hertz - LOWEST_HZ) / STEP_HZ)}"


def _wav_samples(data: bytes) -> NDArray[np.float32]:
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
