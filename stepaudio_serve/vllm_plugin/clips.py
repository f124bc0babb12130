"""What is refused before anything is computed: a clip that the encoder cannot hear ends the request, not the engine."""

from __future__ import annotations

from math import ceil
from typing import Any

import torch
from vllm.exceptions import VLLMValidationError

from .lengths import SAMPLE_RATE

LOUDEST = 32768.0
"""What 16-bit numbers reach, should somebody send them as they are; sound is usually within 1. Squares of samples from
1e18 on are infinite in float32, and nonsense that they leave in the KV cache would reach other requests."""


class ClipError(VLLMValidationError, ValueError):
    """A clip that cannot be heard; vLLM answers such a request with HTTP 400."""


def check_length(samples: int, rate: float, most_samples: int) -> None:
    """Check a clip of so many samples at a rate, before it is resampled.

    Raises:
        ClipError: it is empty, or longer than the model hears at once.
    """
    if samples < 1:
        raise ClipError("the clip is empty: it has no samples")
    at_16_khz = ceil(samples * SAMPLE_RATE / rate)
    if at_16_khz > most_samples:
        raise ClipError(
            f"the clip of {at_16_khz} samples ({at_16_khz / SAMPLE_RATE:.2f} s) is longer than the "
            f"{most_samples / SAMPLE_RATE:.2f} seconds ({most_samples} samples at 16 kHz) "
            "that the model hears at once; send it in pieces of at most 25 s"
        )


def check_samples(samples: Any) -> None:
    """Check what the samples are.

    Raises:
        ClipError: one of them is not a number, or far beyond what sound is.
    """
    loudest = torch.as_tensor(samples).abs().max()
    if not loudest <= LOUDEST:
        raise ClipError(f"the clip has samples that are not a number, infinite or beyond {LOUDEST:.0f}: it is no sound")
