"""Samples, mel frames and tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.step_audio.prompt import frame_count, patch_count

from stepaudio_serve.vllm_plugin.lengths import ClipLengths, frames

R1 = ClipLengths(positions=1500, kernel=3, stride=2)


def test_the_longest_clip_has_29_98_seconds_and_375_tokens() -> None:
    assert R1.most_samples == 479_680
    assert R1.most_tokens == 375
    assert frames(R1.most_samples) == 3000
    assert frames(R1.most_samples + 1) == 3001


@pytest.mark.parametrize(("samples", "tokens"), [(1, 1), (16_000, 13), (400_000, 313), (479_680, 375)])
def test_a_clip_has_12_5_tokens_a_second(samples: int, tokens: int) -> None:
    assert R1.tokens(frames(samples)) == tokens


@given(st.integers(1, 479_680))
def test_every_length_is_as_the_architecture_has_it(samples: int) -> None:
    assert frames(samples) == frame_count(samples)
    assert R1.tokens(frames(samples)) == patch_count(samples)


def test_another_encoder_has_other_lengths() -> None:
    half = ClipLengths(positions=750, kernel=3, stride=2)
    assert half.most_samples == 239_680
    assert frames(half.most_samples) == 1500
    assert ClipLengths(positions=1500, kernel=5, stride=4).tokens(3000) == (750 + 4 - 5) // 4 + 1
