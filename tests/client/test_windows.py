"""Windows over long audio: overlapping, bounded, cut where it is quiet."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepaudio_serve.client.windows import Window, expected_count, halves, is_silent, take, windows

RATE = 16000


def noise(seconds: float, level: float = 0.3) -> np.ndarray:
    return (np.random.default_rng(7).standard_normal(round(seconds * RATE)) * level).astype(np.float32)


def whole(parts: list[Window]) -> np.ndarray:
    """The sound again, without what two windows share."""
    return np.concatenate([part.samples[round(part.overlap * RATE) :] for part in parts])


@given(seconds=st.floats(0.5, 400), block=st.floats(0.1, 30), longest=st.floats(60, 120))
@settings(max_examples=25, deadline=None)
def test_no_sample_is_lost_and_no_window_is_longer(seconds: float, block: float, longest: float) -> None:
    sound = noise(seconds)
    blocks = np.array_split(sound, max(1, round(seconds / block)))
    parts = list(windows(blocks, seconds=longest))
    assert np.array_equal(whole(parts), sound)
    assert all(part.end - part.start <= longest + 1 / RATE for part in parts)
    assert all(10 < part.overlap < 20 for part in parts[1:])
    for before, after in pairwise(parts):
        assert after.start == pytest.approx(before.end - after.overlap)


def test_windows_begin_and_end_in_pauses() -> None:
    sound = noise(200)
    for second in range(0, 200, 3):  # a pause every three seconds
        sound[second * RATE : second * RATE + RATE // 2] = 0
    for before, after in pairwise(windows([sound], seconds=60)):
        assert not before.samples[-RATE // 10 :].any()
        assert not after.samples[: RATE // 10].any()


def test_only_a_window_is_held_at_a_time() -> None:
    taken = 0

    def blocks():
        nonlocal taken
        for _ in range(600):
            taken += 1
            yield noise(1)

    next(windows(blocks(), seconds=60))
    assert taken < 60 + 30


def test_the_last_window_is_never_a_crumb() -> None:
    parts = list(windows([noise(125)], seconds=60))
    assert min(part.end - part.start for part in parts) > 25


def test_silence_between_two_windows_is_known() -> None:
    sound = noise(100)
    sound[30 * RATE : 65 * RATE] = 0
    assert [part.silent_overlap for part in windows([sound], seconds=60)] == [False, True]
    assert is_silent(noise(1, 0.0001))
    assert not is_silent(noise(1, 0.01))


def test_a_window_that_was_too_long_is_halved() -> None:
    (window,) = windows([noise(100)], seconds=120, start=50)
    parts = halves(window)
    assert len(parts) == 2
    assert (parts[0].start, parts[-1].end) == (window.start, window.end)
    assert np.array_equal(whole(parts), window.samples)


def test_one_that_cannot_be_shorter_stays_whole() -> None:
    (window,) = windows([noise(34)], seconds=60)
    assert halves(window) == [window]


@pytest.mark.parametrize("total", [10, 60, 61, 130, 500, 3600])
def test_how_many_there_will_be_is_known_before(total: int) -> None:
    count = len(list(windows([noise(1)] * total, seconds=60)))
    assert abs(expected_count(total, 60) - count) <= max(1, 0.1 * count)


def test_the_first_seconds_and_whether_that_was_all() -> None:
    blocks = iter([noise(1)] * 5)
    held, all_of_it = take(blocks, 2.5)
    assert (len(held), all_of_it) == (3, False)
    assert len(list(blocks)) == 2
    assert take(iter([noise(1)] * 2), 2.5)[1] is True


def test_windows_shorter_than_their_overlaps_make_no_sense() -> None:
    with pytest.raises(ValueError, match="too short"):
        next(windows([noise(1)], seconds=30))
