"""Over how many GPUs the model can be split by tensor parallelism."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..facts.checkpoint import TextShape
    from .devices import Device


def divides(text: TextShape, size: int) -> bool:
    """Whether vLLM can: attention heads go in equal parts, KV heads too, or each is held by equally many GPUs."""
    return text.heads % size == 0 and (text.kv_heads % size == 0 or size % text.kv_heads == 0)


def valid_sizes(text: TextShape, most: int) -> tuple[int, ...]:
    """The sizes up to `most` that divide the model, ascending."""
    return tuple(size for size in range(1, most + 1) if divides(text, size))


def alike(devices: Sequence[Device]) -> bool:
    """Whether these can share a model: of one kind, and whole GPUs if several (a program sees one MIG slice only)."""
    kinds = {(device.compute_capability, device.memory_total_mib) for device in devices}
    return len(devices) <= 1 or (len(kinds) == 1 and not any(is_slice(device) for device in devices))


def sharing(devices: Sequence[Device]) -> int:
    """How many of them one model can be split over at most: a program sees one MIG slice only."""
    return 1 if any(is_slice(device) for device in devices) else len(devices)


def is_slice(device: Device) -> bool:
    """Whether it is a slice of a GPU in MIG mode, by its id (`0:1`)."""
    return ":" in device.id
