"""The NVIDIA GPUs of this host, through NVML."""

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
    """One GPU; memory in MiB, None where the driver does not say.

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

    `lost` holds the indices of GPUs that are there and do not answer. `cuda_version` is the newest that the driver
    supports; both versions are empty where they are not known.
    """

    found: tuple[Gpu, ...]
    absence: str = ""
    absence_kind: AbsenceKind = ""
    lost: tuple[int, ...] = ()
    driver_version: str = ""
    cuda_version: str = ""


def look_at_gpus() -> Gpus:
    """Ask NVML; never raises, an absent driver is a fact too."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Gpus((), absence=_reason(error))
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        found = tuple(_gpu(index, handle) for index, handle in enumerate(handles))
        return Gpus(found, "" if found else "the NVIDIA driver is loaded, but sees no GPU")
    except pynvml.NVMLError as error:
        return Gpus((), absence=_reason(error))
    finally:
        pynvml.nvmlShutdown()


def _gpu(index: int, handle: object) -> Gpu:
    import pynvml

    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    total: int | None = None
    free: int | None = None
    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        total, free = int(memory.total) // 2**20, int(memory.free) // 2**20
    except pynvml.NVMLError_NotSupported:
        pass  # unified memory: the card has none of its own
    return Gpu(
        index=index,
        name=pynvml.nvmlDeviceGetName(handle),
        uuid=pynvml.nvmlDeviceGetUUID(handle),
        memory_total_mib=total,
        memory_free_mib=free,
        compute_capability=f"{major}.{minor}",
    )


def _reason(error: Exception) -> str:
    import pynvml

    if isinstance(error, pynvml.NVMLError_LibraryNotFound):
        return "no NVIDIA driver is installed (libnvidia-ml.so was not found)"
    if isinstance(error, pynvml.NVMLError_DriverNotLoaded):
        return "the NVIDIA kernel driver is not loaded"
    return f"NVML says: {error}"
