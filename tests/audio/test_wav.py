from __future__ import annotations

import io
import wave

import numpy as np
import pytest
from recordings import sound_file, tone

from stepaudio_serve.audio.decode import Limits, decode
from stepaudio_serve.audio.errors import AudioError
from stepaudio_serve.audio.wav import is_piece, wav_bytes


def samples_of(data: bytes) -> np.ndarray:
    with wave.open(io.BytesIO(data)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def test_a_16_bit_mono_wav_of_16_khz() -> None:
    with wave.open(io.BytesIO(wav_bytes(tone(16000, 1.0)))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()) == (
            1,
            2,
            16000,
            16000,
        )


def test_a_16_khz_16_bit_file_comes_back_to_the_last_bit() -> None:
    original = sound_file(tone(16000, 1.0), 16000)
    assert np.array_equal(samples_of(wav_bytes(np.concatenate(list(decode(original, Limits()))))), samples_of(original))


def test_beyond_full_scale_is_clipped_not_wrapped() -> None:
    steps = samples_of(wav_bytes(np.array([2.0, -2.0, 1.0, -1.0] * 1000, np.float32)))
    assert steps[:4].tolist() == [32767, -32768, 32767, -32768]


def test_a_shorter_sound_than_the_engine_bears_is_completed_with_silence() -> None:
    steps = samples_of(wav_bytes(np.full(10, 0.5, np.float32)))
    assert len(steps) == 1600
    assert steps[:10].tolist() == [16384] * 10
    assert not steps[10:].any()


def test_no_sound_is_no_wav() -> None:
    with pytest.raises(AudioError) as caught:
        wav_bytes(np.zeros(0, np.float32))
    assert caught.value.reason == "empty"


@pytest.mark.parametrize("seconds", [0.1, 1.0, 25.0])
def test_a_piece_is_known_for_one_and_would_come_back_the_same(seconds: float) -> None:
    piece = sound_file(tone(16000, seconds), 16000)
    assert is_piece(piece)
    assert wav_bytes(np.concatenate(list(decode(piece, Limits())))) == piece


@pytest.mark.parametrize(
    "data",
    [
        sound_file(tone(16000, 25.1), 16000),
        sound_file(tone(16000, 0.05), 16000),
        sound_file(tone(8000, 1.0), 8000),
        sound_file(np.stack([tone(16000, 1.0)] * 2, axis=1), 16000),
        sound_file(tone(16000, 1.0), 16000, subtype="FLOAT"),
        sound_file(tone(16000, 1.0), 16000) + b"more",
        sound_file(tone(16000, 1.0), 16000)[:-2],
        sound_file(tone(16000, 1.0), 16000, "FLAC"),
        b"",
    ],
)
def test_all_else_is_none(data: bytes) -> None:
    assert not is_piece(data)
