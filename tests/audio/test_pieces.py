from __future__ import annotations

from itertools import repeat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import tone

from stepaudio_serve.audio.pcm import PIECE_SECONDS, SAMPLE_RATE
from stepaudio_serve.audio.pieces import cut


def seconds(pieces: list[np.ndarray]) -> list[float]:
    return [len(piece) / SAMPLE_RATE for piece in pieces]


def noise(length: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(length * SAMPLE_RATE)).astype(np.float32)


def with_pauses(samples: np.ndarray, *places: float) -> np.ndarray:
    for place in places:
        samples[round((place - 0.1) * SAMPLE_RATE) : round((place + 0.1) * SAMPLE_RATE)] = 0
    return samples


def test_what_fits_stays_whole() -> None:
    assert seconds(list(cut([noise(25)]))) == [25]


def test_no_sound_no_pieces() -> None:
    assert list(cut([])) == []
    assert list(cut([np.zeros(0, np.float32)])) == []


def test_pieces_end_in_pauses() -> None:
    pieces = list(cut([with_pauses(noise(80), 22.3, 45.1)]))
    ends = np.cumsum(seconds(pieces))
    assert ends[0] == pytest.approx(22.3, abs=0.1)
    assert ends[1] == pytest.approx(45.1, abs=0.1)


def test_the_quietest_pause_is_taken() -> None:
    sound = noise(80)
    for place, loudness in ((21.0, 0.01), (23.0, 0.001), (24.5, 0.1)):
        around = slice(round((place - 0.1) * SAMPLE_RATE), round((place + 0.1) * SAMPLE_RATE))
        sound[around] *= loudness
    assert seconds(list(cut([sound])))[0] == pytest.approx(23.0, abs=0.1)


@pytest.mark.parametrize("length", [25.01, 26, 30, 44.9, 45.1, 50, 51, 75.3])
def test_the_rest_is_never_tiny(length: float) -> None:
    assert min(seconds(list(cut([noise(length)])))) > 0.3 * PIECE_SECONDS


@settings(deadline=None, max_examples=50)
@given(
    lengths=st.lists(st.integers(0, 40_000), max_size=12),
    piece=st.sampled_from([0.5, 1.0, 2.5]),
    seed=st.integers(0, 1000),
)
def test_pieces_are_short_enough_and_together_the_whole(lengths: list[int], piece: float, seed: int) -> None:
    samples = np.random.default_rng(seed).standard_normal(sum(lengths)).astype(np.float32)
    blocks = np.split(samples, np.cumsum(lengths)[:-1]) if lengths else []
    pieces = list(cut(blocks, seconds=piece))
    assert np.array_equal(np.concatenate(pieces) if pieces else np.zeros(0, np.float32), samples)
    assert all(0 < len(part) <= piece * SAMPLE_RATE for part in pieces)
    assert len(pieces) < 2 or min(seconds(pieces)) > 0.3 * piece


def test_silence_is_cut_as_well() -> None:
    assert seconds(list(cut([np.zeros(60 * SAMPLE_RATE, np.float32)]))) == pytest.approx([25, 17.5, 17.5], abs=2.6)


def test_a_loud_tone_without_pauses_is_cut_as_well() -> None:
    assert sum(seconds(list(cut([tone(SAMPLE_RATE, 60)])))) == 60


def test_an_endless_stream_is_cut_as_it_comes() -> None:
    pieces = cut(repeat(noise(1.0)))
    for _ in range(10):
        assert 20 <= len(next(pieces)) / SAMPLE_RATE <= PIECE_SECONDS
