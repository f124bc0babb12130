"""Samples as a WAV file."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from .errors import AudioError
from .pcm import PIECE_SECONDS, SAMPLE_RATE, SHORTEST_SECONDS

if TYPE_CHECKING:
    from .pcm import Samples

_PCM = 1
_FULL_SCALE = 32768
_HEADER_BYTES = 44


def wav_bytes(samples: Samples) -> bytes:
    """A 16-bit PCM WAV file, 16 kHz mono; what is beyond full scale is clipped.

    Sound shorter than SHORTEST_SECONDS is completed with silence. Raises AudioError where there is no sample at all.
    """
    if not len(samples):
        raise AudioError("empty", "There is no sound to send.")
    scaled = samples * np.float32(_FULL_SCALE)
    np.rint(scaled, out=scaled)
    np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1, out=scaled)
    steps = scaled.astype("<i2")
    missing = max(0, round(SHORTEST_SECONDS * SAMPLE_RATE) - len(steps))
    return b"".join([_header(2 * (len(steps) + missing)), steps.data, bytes(2 * missing)])


def is_piece(data: bytes) -> bool:
    """Whether `data` is a file as `wav_bytes` writes it, of a piece's length: nothing is left to do with it."""
    size = len(data) - _HEADER_BYTES
    shortest, longest = (round(2 * SAMPLE_RATE * seconds) for seconds in (SHORTEST_SECONDS, PIECE_SECONDS))
    return shortest <= size <= longest and size % 2 == 0 and data.startswith(_header(size))


def _header(data_bytes: int) -> bytes:
    """The 44 bytes before the samples: RIFF, `fmt ` (PCM, 1 channel, 2 bytes a frame, 16 bits) and `data`."""
    form = struct.pack("<4sI4s", b"RIFF", 36 + data_bytes, b"WAVE")
    encoding = struct.pack("<4sIHHIIHH", b"fmt ", 16, _PCM, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)
    return form + encoding + struct.pack("<4sI", b"data", data_bytes)
