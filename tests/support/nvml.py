"""A stand-in for NVIDIA's management library, which the real `pynvml` loads and asks: GPUs where there is none.

The fixture `nvml_standin` gives the environment of a process that sees the GPUs of a machine of
`tests/facts/machines` (the library is found through LD_LIBRARY_PATH, so it takes a new process):

    run_cli("doctor", env=nvml_standin("rtx-5090"))
    run_cli("doctor", env=nvml_standin(GPUS_FILE))                          # any facts file
    run_cli("doctor", env=nvml_standin("l40s-x4", fail={"gpu2.nvmlDeviceGetHandleByIndex_v2": "GPU_IS_LOST"}))
    run_cli("doctor", env=nvml_standin("h100", fail={"nvmlInitWithFlags": "LIB_RM_VERSION_MISMATCH"}))
    run_cli("doctor", env=nvml_standin("h100", hang={"nvmlInitWithFlags": 30}))
    run_cli("doctor", env=nvml_standin(None))                               # a driver that sees no GPU
    run_cli("doctor", env=nvml_standin.no_library())                        # no driver at all

Calls are those of the C library: pynvml asks `nvmlDeviceGetHandleByIndex_v2`, `nvmlDeviceGetCount_v2`,
`nvmlDeviceGetMemoryInfo_v2`, `nvmlDeviceGetComputeRunningProcesses_v3`, and most others without a version.
Errors are named as in nvml.h, without NVML_ERROR_; FUNCTION_NOT_FOUND is what an older driver comes down to.
Processes are told with the pids of the file, whatever runs here under these.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pynvml
from support.facts import FACTS, machine_file

from stepaudio_serve.facts.nvml import BRANDS
from stepaudio_serve.facts.recorded import on_another_machine, read_facts_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stepaudio_serve.facts.gpu import Gpu, Gpus

SOURCE = Path(__file__).with_suffix("") / "libnvidia-ml.c"
LIBRARY = "libnvidia-ml.so.1"
MIB = 2**20


@dataclass(frozen=True, slots=True)
class NvmlStandin:
    """The compiled library's folder, and a folder for what it is to answer."""

    library: Path
    answers: Path

    def __call__(
        self,
        machine: str | Path | None = "rtx-5090",
        *,
        fail: Mapping[str, str] | None = None,
        hang: Mapping[str, int] | None = None,
    ) -> dict[str, str]:
        lines = [] if machine else ["count 0", "driver 580.95.05", "cuda 13000"]
        lines += [*_failures(fail or {}), *(f"hang.{call} {seconds}" for call, seconds in (hang or {}).items())]
        if machine is not None:
            path = machine if isinstance(machine, Path) else machine_file(machine)
            lines += _lines(on_another_machine(FACTS, read_facts_file(path), named=str(path)).gpus)
        target = self.answers / f"nvml-{len(list(self.answers.glob('nvml-*')))}"
        target.write_text("\n".join([*lines, ""]))
        return {"NVML_STANDIN": str(target), **_found_in(self.library)}

    def no_library(self) -> dict[str, str]:
        """The environment of a process that finds no NVML, also where this machine has one."""
        (self.answers / LIBRARY).write_text("not a library")
        return _found_in(self.answers)


def compile_standin(folder: Path) -> str:
    """Compile the library into a folder; why that failed, or nothing."""
    done = subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", folder / LIBRARY, SOURCE],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr


def _found_in(folder: Path) -> dict[str, str]:
    return {"LD_LIBRARY_PATH": ":".join(filter(None, (str(folder), os.environ.get("LD_LIBRARY_PATH"))))}


def _failures(fail: Mapping[str, str]) -> Iterator[str]:
    for call, error in fail.items():
        yield f"fail.{call} {getattr(pynvml, f'NVML_ERROR_{error}')}"


def _lines(gpus: Gpus) -> Iterator[str]:
    yield f"count {len(gpus.found)}"
    yield f"driver {gpus.driver_version}"
    major, minor = gpus.cuda_version.split(".")
    yield f"cuda {int(major) * 1000 + int(minor) * 10}"
    for gpu in gpus.found:
        yield from (f"gpu{gpu.index}.{line}" for line in _of_gpu(gpu))


def _of_gpu(gpu: Gpu) -> Iterator[str]:
    yield f"name {gpu.name}"
    yield f"uuid {gpu.uuid}"
    yield f"capability {gpu.compute_capability}"
    yield f"mig {int(gpu.mig)}"
    yield f"brand {next(number for number, name in BRANDS.items() if name == gpu.brand)}"
    if gpu.temperature_c is not None:
        yield f"temperature {gpu.temperature_c}"
    if gpu.power_w is not None:
        yield f"power {round(gpu.power_w * 1000)}"
    if not gpu.unified:
        yield from _memory(gpu.memory_total_mib, gpu.memory_free_mib, gpu.memory_reserved_mib)
    for number, process in enumerate(gpu.processes):  # the first computes, the second draws, and so on
        kind = "graphics" if number % 2 else "compute"
        memory = "" if process.memory_mib is None else f" {process.memory_mib * MIB}"
        yield f"{kind}{number // 2} {process.pid}{memory}"
    for item in gpu.slices:
        place = f"slice{item.id.partition(':')[2]}"
        yield f"{place}.name {item.name}"
        yield f"{place}.uuid {item.uuid}"
        yield from (f"{place}.{line}" for line in _memory(item.memory_total_mib, item.memory_free_mib, None))


def _memory(total: int | None, free: int | None, reserved: int | None) -> Iterator[str]:
    for field, size in (("total", total), ("free", free), ("reserved", reserved)):
        if size is not None:
            yield f"memory.{field} {size * MIB}"
