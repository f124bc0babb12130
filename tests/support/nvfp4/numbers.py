"""NVFP4's numbers: E2M1 values, a float8 scale for every 16 of them, and a float32 divisor for a whole tensor."""

from __future__ import annotations

import torch

GROUP = 16
VALUES = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
"""What the low three of four bits mean; the highest is the sign."""
BETWEEN = (VALUES[1:] + VALUES[:-1]) / 2
LARGEST = 6.0
LARGEST_SCALE = 448.0
SMALLEST_SCALE = 0.125
"""What stands for a scale of zero; compressed-tensors takes float8's epsilon."""


def global_scale(largest: torch.Tensor) -> torch.Tensor:
    """The divisor with which the scale of the group that holds a tensor's `largest` is the largest float8."""
    return (LARGEST_SCALE * LARGEST / largest).to(torch.float32).reshape(1)


def group_scales(x: torch.Tensor, divisor: torch.Tensor) -> torch.Tensor:
    """`[rows, groups]` in float8 for `[rows, columns]`."""
    largest = x.float().unflatten(-1, (-1, GROUP)).abs().amax(-1)
    return (divisor * largest / LARGEST).clamp(max=LARGEST_SCALE).to(torch.float8_e4m3fn)


def codes(x: torch.Tensor, scales: torch.Tensor, divisor: torch.Tensor) -> torch.Tensor:
    """The nearest E2M1 values of `[rows, columns]`, as four bits each; a tie goes to the even code."""
    grouped = x.float().unflatten(-1, (-1, GROUP))
    real = (scales.float() / divisor).unsqueeze(-1)
    scaled = torch.where(real == 0, torch.zeros_like(grouped), grouped / real).flatten(-2)
    below = torch.bucketize(scaled.abs(), BETWEEN)
    above = torch.bucketize(scaled.abs(), BETWEEN, right=True)
    nearest = torch.where(below % 2 == 0, below, above)
    return nearest | (x < 0).long() << 3


def values(four_bits: torch.Tensor, scales: torch.Tensor, divisor: torch.Tensor) -> torch.Tensor:
    """The real numbers that `codes` stand for, in float32."""
    unsigned = VALUES[four_bits & 7].unflatten(-1, (-1, GROUP))
    sign = torch.where(four_bits & 8 > 0, -1.0, 1.0).unflatten(-1, (-1, GROUP))
    return (sign * unsigned * (scales.float() / divisor).unsqueeze(-1)).flatten(-2)


def to_bytes(four_bits: torch.Tensor) -> torch.Tensor:
    """Two codes a byte, the first in the low half."""
    return (four_bits[..., ::2] | four_bits[..., 1::2] << 4).to(torch.uint8)


def from_bytes(packed: torch.Tensor) -> torch.Tensor:
    """The codes that `to_bytes` packed."""
    return torch.stack((packed & 15, packed >> 4), -1).flatten(-2).long()
