"""The NVIDIA GPUs of this host, as NVML tells of them.

A card need not support every query: what it does not tell is left open, and the card is kept.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .gpu import Gpu, GpuProcess, Gpus, MigSlice
from .host import memory_mib

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .gpu import AbsenceKind

T = TypeVar("T")
MIB = 2**20
MIG_ENABLED = 1

BRANDS = {
    1: "Quadro",
    2: "Tesla",
    3: "NVS",
    4: "GRID",
    5: "GeForce",
    6: "Titan",
    7: "NVIDIA Virtual Applications",
    8: "NVIDIA Virtual PC",
    9: "NVIDIA Virtual Compute Server",
    10: "NVIDIA RTX Virtual Workstation",
    11: "NVIDIA Cloud Gaming",
    12: "Quadro RTX",
    13: "NVIDIA RTX",
    14: "NVIDIA",
    15: "GeForce RTX",
    16: "Titan RTX",
}
"""nvmlBrandType_t of nvml.h, as marketed."""


def look_at_gpus() -> Gpus:
    """Ask NVML; never raises, an absent driver is a fact too."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return _absent(error)
    try:
        return _every_gpu()
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _every_gpu() -> Gpus:
    import pynvml

    try:
        answers = [_gpu_or_error(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as error:
        return _absent(error)
    found = tuple(gpu for gpu in answers if isinstance(gpu, Gpu))
    failed = {index: answer for index, answer in enumerate(answers) if not isinstance(answer, Gpu)}
    lost = tuple(index for index, error in failed.items() if isinstance(error, pynvml.NVMLError_GpuIsLost))
    versions = (_told(pynvml.nvmlSystemGetDriverVersion) or "", _cuda_version())
    if not answers:
        return Gpus((), "the NVIDIA driver is loaded, but sees no GPU", "no-gpu", (), (), *versions)
    kind: AbsenceKind
    kind, words = ("", "") if found else _reason(failed[lost[0] if lost else 0])
    unanswered = tuple((index, str(error)) for index, error in failed.items() if index not in lost)
    return Gpus(found, words, kind, lost, unanswered, *versions)


def _gpu_or_error(index: int) -> Gpu | Exception:
    import pynvml

    try:
        return _gpu(index, pynvml.nvmlDeviceGetHandleByIndex(index))
    except pynvml.NVMLError as error:
        return cast("Exception", error)


def _gpu(index: int, handle: Any) -> Gpu:
    """One card; raises NVMLError where it is lost."""
    import pynvml

    capability = _told(pynvml.nvmlDeviceGetCudaComputeCapability, handle)
    mode = _told(pynvml.nvmlDeviceGetMigMode, handle)
    mig = mode is not None and mode[0] == MIG_ENABLED
    milliwatts = _told(pynvml.nvmlDeviceGetPowerUsage, handle)
    total, free, reserved, unified = _memory(handle)
    return Gpu(
        index=index,
        name=_told(pynvml.nvmlDeviceGetName, handle) or "",
        uuid=_told(pynvml.nvmlDeviceGetUUID, handle) or "",
        memory_total_mib=total,
        memory_free_mib=free,
        compute_capability="{}.{}".format(*capability) if capability else "",
        memory_reserved_mib=reserved,
        unified=unified,
        mig=mig,
        slices=tuple(_slices(index, handle)) if mig else (),
        processes=_processes(handle),
        temperature_c=_told(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU),
        power_w=None if milliwatts is None else milliwatts / 1000,
        brand=BRANDS.get(_told(pynvml.nvmlDeviceGetBrand, handle) or 0, ""),
    )


def _told(query: Callable[..., T], *arguments: Any) -> T | None:
    """The answer, or None where the card or its driver does not support the query."""
    import pynvml

    try:
        return query(*arguments)
    except pynvml.NVMLError_GpuIsLost:
        raise
    except pynvml.NVMLError:
        return None


def _memory(handle: Any) -> tuple[int | None, int | None, int | None, bool]:
    """Total, free and reserved MiB, and whether the memory is the host's: a card without its own says Not Supported."""
    import pynvml

    for version in (pynvml.nvmlMemory_v2, None):  # version 1, of drivers before 510, does not know `reserved`
        try:
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle, version)
        except pynvml.NVMLError_GpuIsLost:
            raise
        except pynvml.NVMLError_NotSupported:
            return (*memory_mib(), None, True)
        except pynvml.NVMLError:
            continue
        return memory.total // MIB, memory.free // MIB, memory.reserved // MIB if version else None, False
    return None, None, None, False


def _slices(index: int, handle: Any) -> Iterator[MigSlice]:
    import pynvml

    for number in range(_told(pynvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
        part = _told(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, number)
        if part is None:
            continue
        memory = _told(pynvml.nvmlDeviceGetMemoryInfo, part)
        yield MigSlice(
            id=f"{index}:{number}",
            uuid=_told(pynvml.nvmlDeviceGetUUID, part) or "",
            name=_told(pynvml.nvmlDeviceGetName, part) or "",
            memory_total_mib=memory and memory.total // MIB,
            memory_free_mib=memory and memory.free // MIB,
        )


def _processes(handle: Any) -> tuple[GpuProcess, ...]:
    """Each once, though it may compute and draw; NVML then tells the same memory twice."""
    import pynvml

    queries = (
        (pynvml.nvmlDeviceGetComputeRunningProcesses_v3, pynvml.nvmlDeviceGetComputeRunningProcesses_v2),
        (pynvml.nvmlDeviceGetGraphicsRunningProcesses_v3, pynvml.nvmlDeviceGetGraphicsRunningProcesses_v2),
    )
    held: dict[int, int | None] = {}
    for newest, older in queries:
        answer = _told(newest, handle)
        for process in (_told(older, handle) if answer is None else answer) or ():
            sizes = [size for size in (held.get(process.pid), process.usedGpuMemory) if size is not None]
            held[process.pid] = max(sizes, default=None)
    return tuple(GpuProcess(pid, _name(pid), size and size // MIB) for pid, size in held.items())


def _name(pid: int) -> str:
    import psutil

    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return ""


def _cuda_version() -> str:
    """The newest CUDA that the driver supports, as `12.8`; NVML tells 12080."""
    import pynvml

    number = _told(pynvml.nvmlSystemGetCudaDriverVersion_v2) or _told(pynvml.nvmlSystemGetCudaDriverVersion)
    return f"{number // 1000}.{number % 1000 // 10}" if number else ""


def _absent(error: Exception) -> Gpus:
    kind, words = _reason(error)
    return Gpus((), absence=words, absence_kind=kind)


def _reason(error: Exception) -> tuple[AbsenceKind, str]:
    import pynvml

    reasons: dict[type[Exception], tuple[AbsenceKind, str]] = {
        pynvml.NVMLError_LibraryNotFound: (
            "no-library",
            "no NVIDIA driver is installed (libnvidia-ml.so.1 was not found)",
        ),
        pynvml.NVMLError_DriverNotLoaded: ("no-driver", "the NVIDIA kernel driver is not loaded"),
        pynvml.NVMLError_LibRmVersionMismatch: (
            "mismatch",
            "the NVIDIA driver's libraries are of another version than its loaded kernel module",
        ),
        pynvml.NVMLError_GpuIsLost: ("gpu-lost", "the GPU has fallen off the bus"),
        pynvml.NVMLError_NoPermission: ("no-permission", "this user may not talk to the NVIDIA driver"),
    }
    return reasons.get(type(error), ("other", f"NVML says: {error}"))
