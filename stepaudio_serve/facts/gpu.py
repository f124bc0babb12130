"""The NVIDIA GPUs of this host, through NVML."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU; memory in MiB, None where the driver does not say (unified memory)."""

    index: int
    name: str
    uuid: str
    memory_total_mib: int | None
    memory_free_mib: int | None
    compute_capability: str


@dataclass(frozen=True, slots=True)
class Gpus:
    """All GPUs, or `absence`: why none could be seen."""

    found: tuple[Gpu, ...]
    absence: str = ""


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
