"""Which devices the setting `gpus` means: whole GPUs, or slices of those in MIG mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..facts.gpu import Gpu, Gpus, MigSlice
    from ..settings.options import Settings


@dataclass(frozen=True, slots=True)
class Device:
    """What one rank of the engine runs on; memory in MiB, None where it is not known."""

    id: str
    name: str
    compute_capability: str
    memory_total_mib: int | None
    memory_free_mib: int | None
    memory_reserved_mib: int = 0
    unified: bool = False


def devices_for(settings: Settings, gpus: Gpus) -> tuple[Device, ...]:
    """The devices that the engine will see, in the order of their indices; none where none is asked for or known."""
    if settings.gpus == "none":
        return ()
    if settings.gpus == "all":
        return tuple(device for gpu in gpus.found for device in _devices(gpu))
    names = {name: device for gpu in gpus.found for name, device in _named(gpu)}
    return tuple(names[name] for name in settings.gpu_ids if name in names)


def _devices(gpu: Gpu) -> tuple[Device, ...]:
    """A GPU in MIG mode gives a program its first slice only, however many it has, and nothing where it has none."""
    return tuple(_slice(gpu, item) for item in gpu.slices[:1]) if gpu.mig else (_gpu(gpu),)


def _named(gpu: Gpu) -> list[tuple[str, Device]]:
    slices = [(name, _slice(gpu, item)) for item in gpu.slices for name in (item.id, item.uuid)]
    return [*((name, device) for device in _devices(gpu) for name in (str(gpu.index), gpu.uuid)), *slices]


def _gpu(gpu: Gpu) -> Device:
    return Device(
        id=str(gpu.index),
        name=gpu.name,
        compute_capability=gpu.compute_capability,
        memory_total_mib=gpu.memory_total_mib,
        memory_free_mib=gpu.memory_free_mib,
        memory_reserved_mib=gpu.memory_reserved_mib or 0,
        unified=gpu.unified,
    )


def _slice(gpu: Gpu, item: MigSlice) -> Device:
    return Device(
        id=item.id,
        name=item.name,
        compute_capability=gpu.compute_capability,
        memory_total_mib=item.memory_total_mib,
        memory_free_mib=item.memory_free_mib,
    )
