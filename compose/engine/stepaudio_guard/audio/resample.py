"""Any sample rate to 16 kHz: a streaming polyphase windowed-sinc filter, one matrix product a block.

A row of `inputs` samples (and their neighbours within the filter's reach) makes a row of `outputs` samples, all its
phases at once: one fixed matrix, applied by BLAS to many rows together. Every product has the same shape, so the
result does not depend on how the input was cut into blocks, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .pcm import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from .pcm import Samples

_ZERO_CROSSINGS = 64
_ATTENUATION_DB = 90.0
"""With 64 zero crossings a side the transition band is 0.09 of the lower Nyquist frequency (Kaiser's formula)."""

_KAISER_BETA = 0.1102 * (_ATTENUATION_DB - 8.7)
_TRANSITION = (_ATTENUATION_DB - 7.95) / (2.285 * np.pi * 2 * _ZERO_CROSSINGS)
"""Width of the transition band as a part of the lower Nyquist frequency; it ends there, so nothing folds back."""

_LARGEST_TERM = 1024
"""Bound of the ratio's terms, so that a matrix stays below 5 MB. All usual rates are exact (11025 Hz is 441/640)."""

_ROW_OUTPUTS = 64
"""At least so many outputs a row: fewer keep BLAS idle, more multiply more zeros."""

_ROWS = 64
_PLANS_KEPT = 8


def resample(blocks: Iterable[Samples], rate: int) -> Iterator[Samples]:
    """The mono `blocks` of `rate` Hz at 16 kHz: in time with the input, round(samples x 16000 / rate) long.

    What is beyond the lower of the two Nyquist frequencies is at least 80 dB down. Rates whose ratio to 16000 has terms
    above 1024 are taken for a near one, off by less than 0.06 % in length and pitch (half of them by less than
    0.003 %).
    """
    if rate == SAMPLE_RATE:
        yield from blocks
        return
    resampler = _Resampler(_plan(rate))
    for block in blocks:
        yield from resampler.push(block)
    yield from resampler.finish()


@dataclass(frozen=True, slots=True)
class _Plan:
    """How rows are made: `matrix` maps a row's inputs, with `reach` neighbours on either side, to its outputs."""

    ratio: Fraction
    inputs: int
    outputs: int
    reach: int
    matrix: Samples


@lru_cache(maxsize=_PLANS_KEPT)
def _plan(rate: int) -> _Plan:
    ratio = _ratio(rate)
    repeats = -(-_ROW_OUTPUTS // ratio.denominator)
    inputs, outputs = ratio.numerator * repeats, ratio.denominator * repeats
    bandwidth = min(1.0, 1 / float(ratio))
    reach = int(np.ceil(_ZERO_CROSSINGS / bandwidth))
    position = np.arange(outputs) * float(ratio)
    distance = np.arange(-reach, inputs + reach)[:, None] - position[None, :]
    return _Plan(ratio, inputs, outputs, reach, _kernel(distance * bandwidth, bandwidth))


def _ratio(rate: int) -> Fraction:
    """Input samples for one output sample."""
    exact = Fraction(rate, SAMPLE_RATE)
    return exact.limit_denominator(max(1, min(_LARGEST_TERM, int(_LARGEST_TERM / exact))))


def _kernel(distance: NDArray[np.float64], gain: float) -> Samples:
    """The Kaiser-windowed sinc at `distance`, in periods of the lower rate."""
    kernel = np.zeros(distance.shape, np.float32)
    inside = np.abs(distance) < _ZERO_CROSSINGS
    near = distance[inside]
    window = np.i0(_KAISER_BETA * np.sqrt(1 - (near / _ZERO_CROSSINGS) ** 2)) / np.i0(_KAISER_BETA)
    cutoff = 1 - _TRANSITION / 2
    kernel[inside] = gain * cutoff * np.sinc(cutoff * near) * window
    return kernel


class _Resampler:
    """Holds what the next rows need: the last inputs and how many samples went in and out."""

    def __init__(self, plan: _Plan) -> None:
        self._plan = plan
        self._held: list[Samples] = [np.zeros(plan.reach, np.float32)]
        self._held_count = plan.reach
        self._count_in = 0
        self._count_out = 0

    def push(self, block: Samples) -> Iterator[Samples]:
        """What can be said once `block` is known."""
        self._count_in += len(block)
        yield from self._advance(block)

    def finish(self) -> Iterator[Samples]:
        """The rest, as if silence followed."""
        length = round(self._count_in / self._plan.ratio)
        silence = np.zeros(_ROWS * self._plan.inputs, np.float32)
        while self._count_out < length:
            for block in self._advance(silence):
                yield block[: length - self._count_out + len(block)]

    def _advance(self, block: Samples) -> Iterator[Samples]:
        plan = self._plan
        self._held.append(block)
        self._held_count += len(block)
        step, window = _ROWS * plan.inputs, _ROWS * plan.inputs + 2 * plan.reach
        if self._held_count < window:
            return
        held = np.concatenate(self._held)
        while len(held) >= window:
            rows = sliding_window_view(held[:window], plan.inputs + 2 * plan.reach)[:: plan.inputs]
            made = (rows @ plan.matrix).reshape(-1)
            self._count_out += len(made)
            held = held[step:]
            yield made
        self._held = [held.copy()]
        self._held_count = len(held)
