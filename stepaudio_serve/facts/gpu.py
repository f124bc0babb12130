"""The NVIDIA GPUs of a host, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AbsenceKind = Literal[
    "", "not-asked", "no-library", "no-driver", "mismatch", "gpu-lost", "no-permission", "no-gpu", "timed-out", "other"
]


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that holds memory of a GPU; `name` is empty where the system does not tell, so is memory None."""

    pid: int
    name: str
    memory_mib: int | None


@dataclass(frozen=True, slots=True)
class MigSlice:
    """A slice of a GPU in MIG mode: `id` as Docker takes it (`0:1`), memory in MiB."""

    id: str
    uuid: str
    name: str
    memory_total_mib: int | None
    memory_free_mib: int | None


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU; memory in MiB, None where the driver does not say. So are a name, UUID or capability that is empty.

    `memory_reserved_mib` is part of the total that no program gets. `unified` memory is the host's own: total and
    free are then the host's. Temperature in degrees Celsius, power in watts; None where the card does not tell.
    """

    index: int
    name: str
    uuid: str
    memory_total_mib: int | None
    memory_free_mib: int | None
    compute_capability: str
    memory_reserved_mib: int | None = None
    unified: bool = False
    mig: bool = False
    slices: tuple[MigSlice, ...] = ()
    processes: tuple[GpuProcess, ...] = ()
    temperature_c: int | None = None
    power_w: float | None = None
    brand: str = ""


@dataclass(frozen=True, slots=True)
class Gpus:
    """All GPUs, or `absence`: why none could be seen, in words, and its kind.

    `lost` holds the indices of GPUs that have fallen off the bus, `unanswered` those of others that do not answer,
    with NVML's words. `cuda_version` is the newest that the driver supports; both versions are empty where they
    are not known.
    """

    found: tuple[Gpu, ...]
    absence: str = ""
    absence_kind: AbsenceKind = ""
    lost: tuple[int, ...] = ()
    unanswered: tuple[tuple[int, str], ...] = ()
    driver_version: str = ""
    cuda_version: str = ""


def driver_hangs(within: str) -> Gpus:
    """No GPU, because the driver was asked and gave no answer `within` some time."""
    return Gpus((), absence=f"the NVIDIA driver {within}", absence_kind="timed-out")
