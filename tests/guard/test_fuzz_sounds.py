"""Whatever bytes are called a sound, they decode to finite samples within the bounds, or are refused in plain words.

`tools/fuzz.py` does the same at length.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.fuzzing.inputs import WEIRD_NUMBERS, Mutator, sound_seeds
from support.fuzzing.targets import hear
from support.sounds import FLOAT, PCM, riff

if TYPE_CHECKING:
    import random

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=150)
SIZE = st.integers(0, (1 << 32) - 1) | st.sampled_from(WEIRD_NUMBERS)
SMALL = st.integers(0, (1 << 16) - 1)


@cache
def seeds() -> list[bytes]:
    return sound_seeds()


@UNHURRIED
@given(st.randoms(use_true_random=False))
def test_mutated_files(chance: random.Random) -> None:
    assert hear(Mutator(seeds(), chance, structured=False).next())


@UNHURRIED
@given(
    data=st.binary(max_size=2000),
    code=st.sampled_from([0, PCM, 2, FLOAT, 6, 7, 0x11, 0x31, 0x55, 0xFFFE]) | SMALL,
    channels=st.integers(0, 9) | SMALL,
    rate=st.sampled_from([8000, 16000, 44100, 192000]) | SIZE,
    bits=st.sampled_from([1, 8, 16, 24, 32, 64]) | SMALL,
    data_size=st.none() | SIZE,
    riff_size=st.none() | SIZE,
)
@example(data=bytes(4), code=PCM, channels=1, rate=(1 << 31) - 1, bits=16, data_size=None, riff_size=None)
@example(data=bytes(4), code=PCM, channels=65535, rate=16000, bits=16, data_size=0xFFFFFFFF, riff_size=0)
def test_headers_that_lie(data: bytes, **header: int) -> None:
    assert hear(riff(data, **header))


@UNHURRIED
@given(
    st.sampled_from([b"RIFF", b"fLaC", b"OggS", b"ID3", b"FORM", b"caff", b".snd", b"\xff\xfb"]),
    st.binary(max_size=500),
)
def test_a_mark_and_then_anything(mark: bytes, data: bytes) -> None:
    assert hear(mark + data)


@given(st.binary(max_size=100))
def test_no_sound_at_all(data: bytes) -> None:
    assert hear(data) in {"empty", "unreadable", "unsupported", "sound"}
