from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import loudness_of, tone

from stepaudio_serve.audio.pcm import SAMPLE_RATE
from stepaudio_serve.audio.resample import resample

USUAL_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000)


def resampled(samples: np.ndarray, rate: int) -> np.ndarray:
    blocks = list(resample([samples], rate))
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


@pytest.mark.parametrize("rate", USUAL_RATES)
def test_a_tone_comes_out_as_the_same_tone_in_time(rate: int) -> None:
    out = resampled(tone(rate, 1.0), rate)
    expected = tone(SAMPLE_RATE, 1.0)
    assert len(out) == SAMPLE_RATE
    assert np.abs(out - expected)[1000:-1000].max() < 1e-4


@pytest.mark.parametrize("rate", [22050, 44100, 48000, 192000])
def test_what_16_khz_cannot_hold_does_not_fold_back(rate: int) -> None:
    for hertz in (8100, 9000, 10500):
        out = resampled(tone(rate, 1.0, hertz, amplitude=1.0), rate)
        assert loudness_of(out, SAMPLE_RATE - hertz) < 1e-4


def test_a_lower_rate_gets_no_images_of_its_tones() -> None:
    out = resampled(tone(8000, 1.0, 3000, amplitude=1.0), 8000)
    assert loudness_of(out, 3000) == pytest.approx(1.0, abs=1e-3)
    assert loudness_of(out, 5000) < 1e-4


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_speech_up_to_7_khz_stays_as_loud(rate: int) -> None:
    for hertz in (100, 1000, 4000, 7000):
        assert loudness_of(resampled(tone(rate, 1.0, hertz), rate), hertz) == pytest.approx(0.5, rel=1e-3)


@settings(deadline=None, max_examples=50)
@given(
    rate=st.sampled_from([8000, 11025, 44100, 48000]),
    lengths=st.lists(st.integers(0, 9000), max_size=8),
    seed=st.integers(0, 1000),
)
def test_the_result_does_not_depend_on_the_blocks(rate: int, lengths: list[int], seed: int) -> None:
    samples = np.random.default_rng(seed).standard_normal(sum(lengths)).astype(np.float32)
    blocks = np.split(samples, np.cumsum(lengths)[:-1]) if lengths else []
    in_blocks = list(resample(blocks, rate))
    at_once = resampled(samples, rate)
    assert np.array_equal(np.concatenate(in_blocks) if in_blocks else np.zeros(0, np.float32), at_once)


@settings(deadline=None, max_examples=50)
@given(rate=st.sampled_from(USUAL_RATES), count=st.integers(0, 30_000))
def test_the_length_is_exact_for_usual_rates(rate: int, count: int) -> None:
    assert abs(len(resampled(np.zeros(count, np.float32), rate)) - count * SAMPLE_RATE / rate) <= 0.5


@settings(deadline=None, max_examples=50)
@given(rate=st.integers(1000, 768_000))
def test_odd_rates_are_off_by_less_than_a_thousandth(rate: int) -> None:
    out = resampled(np.zeros(rate, np.float32), rate)
    assert len(out) == pytest.approx(SAMPLE_RATE, rel=6e-4)


def test_a_stream_is_passed_on_while_it_comes() -> None:
    taken = 0

    def blocks():
        nonlocal taken
        while True:
            taken += 1
            yield np.zeros(44100, np.float32)

    next(resample(blocks(), 44100))
    assert taken == 1
