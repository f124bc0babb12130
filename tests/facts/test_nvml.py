"""What is read of GPUs: the real pynvml, in a process of its own, asks a stand-in for NVIDIA's library."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest
from support.facts import machine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from support.nvml import NvmlStandin

    from stepaudio_serve.facts.gpu import Gpu, Gpus

LOOK = (
    "import pickle, sys; from stepaudio_serve.facts.nvml import look_at_gpus; "
    "sys.stdout.buffer.write(pickle.dumps(look_at_gpus()))"
)
INIT = "nvmlInitWithFlags"
HANDLE = "nvmlDeviceGetHandleByIndex_v2"
MEMORY = "nvmlDeviceGetMemoryInfo"
KINDS = ("Compute", "Graphics")


def look(environment: Mapping[str, str]) -> Gpus:
    done = subprocess.run(
        [sys.executable, "-c", LOOK], env={**os.environ, **environment}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    gpus: Gpus = pickle.loads(done.stdout)
    return gpus


def only(gpus: Gpus) -> Gpu:
    (gpu,) = gpus.found
    return gpu


@pytest.mark.parametrize("name", ["rtx-pro-6000", "rtx-5090-x2", "l40s-x4"])
def test_everything_that_cards_tell_is_read(name: str, nvml_standin: NvmlStandin) -> None:
    assert look(nvml_standin(name)) == machine(name).gpus


def test_a_card_in_mig_mode_has_slices_with_memory_of_their_own(nvml_standin: NvmlStandin) -> None:
    gpu = only(look(nvml_standin("h100-mig")))
    assert gpu.mig
    assert gpu.slices == only(machine("h100-mig").gpus).slices
    assert [item.id for item in gpu.slices] == ["0:0", "0:1"]


def test_unified_memory_is_the_hosts(nvml_standin: NvmlStandin) -> None:
    gpu = only(look(nvml_standin("gb10")))
    assert (gpu.unified, gpu.compute_capability) == (True, "12.1")
    assert gpu.memory_total_mib == psutil.virtual_memory().total // 2**20
    assert gpu.memory_free_mib is not None
    assert 0 < gpu.memory_free_mib <= gpu.memory_total_mib


def test_a_driver_that_does_not_know_what_is_reserved_tells_the_rest(nvml_standin: NvmlStandin) -> None:
    gpu = only(look(nvml_standin("rtx-5090", fail={f"{MEMORY}_v2": "FUNCTION_NOT_FOUND"})))
    assert (gpu.memory_total_mib, gpu.memory_reserved_mib, gpu.unified) == (32607, None, False)


def test_memory_that_cannot_be_asked_for_now_is_not_unified(nvml_standin: NvmlStandin) -> None:
    failing = {f"{MEMORY}_v2": "UNKNOWN", MEMORY: "UNKNOWN"}
    gpu = only(look(nvml_standin("rtx-5090", fail=failing)))
    assert (gpu.memory_total_mib, gpu.memory_free_mib, gpu.unified) == (None, None, False)


@pytest.mark.parametrize(
    ("calls", "left_open"),
    [
        (["nvmlDeviceGetTemperature"], {"temperature_c": None}),
        (["nvmlDeviceGetPowerUsage"], {"power_w": None}),
        (["nvmlDeviceGetBrand"], {"brand": ""}),
        (["nvmlDeviceGetName"], {"name": ""}),
        (["nvmlDeviceGetUUID"], {"uuid": ""}),
        (["nvmlDeviceGetCudaComputeCapability"], {"compute_capability": ""}),
        (["nvmlDeviceGetMigMode"], {"mig": False}),
        (["nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2"], {"processes": ()}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_query_that_a_card_does_not_support_leaves_only_that_open(
    calls: list[str], left_open: dict[str, object], nvml_standin: NvmlStandin
) -> None:
    gpu = only(look(nvml_standin("rtx-pro-6000", fail=dict.fromkeys(calls, "NOT_SUPPORTED"))))
    assert gpu == replace(only(machine("rtx-pro-6000").gpus), **left_open)


def processes_file(folder: Path, *processes: Mapping[str, object]) -> Path:
    gpu = {"memory_total_mib": 1000, "compute_capability": "9.0", "brand": "NVIDIA", "processes": processes}
    path = folder / "gpus.json"
    path.write_text(json.dumps({"gpus": [gpu], "driver_version": "580.1", "cuda_version": "13.0"}))
    return path


@pytest.mark.parametrize("newest", [True, False], ids=["v3", "v2"])
def test_the_processes_that_hold_a_card_are_named(newest: bool, tmp_path: Path, nvml_standin: NvmlStandin) -> None:
    path = processes_file(tmp_path, {"pid": os.getpid(), "memory_mib": 700}, {"pid": 2**22 + 1, "memory_mib": 5})
    older = {} if newest else {f"nvmlDeviceGet{kind}RunningProcesses_v3": "FUNCTION_NOT_FOUND" for kind in KINDS}
    mine, gone = only(look(nvml_standin(path, fail=older))).processes
    assert (mine.pid, mine.name, mine.memory_mib) == (os.getpid(), psutil.Process().name(), 700)
    assert (gone.name, gone.memory_mib) == ("", 5)


@pytest.mark.parametrize("sizes", [(None, 300), (300, None), (300, 300)])
def test_a_process_that_computes_and_draws_is_told_once(
    sizes: tuple[int | None, int | None], tmp_path: Path, nvml_standin: NvmlStandin
) -> None:
    twice = [{"pid": 7, "memory_mib": size} for size in sizes]
    (process,) = only(look(nvml_standin(processes_file(tmp_path, *twice)))).processes
    assert (process.pid, process.memory_mib) == (7, 300)


def test_a_process_whose_memory_is_hidden_is_still_told(tmp_path: Path, nvml_standin: NvmlStandin) -> None:
    (process,) = only(look(nvml_standin(processes_file(tmp_path, {"pid": 7})))).processes
    assert process.memory_mib is None


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        ("DRIVER_NOT_LOADED", "no-driver", "kernel driver is not loaded"),
        ("LIB_RM_VERSION_MISMATCH", "mismatch", "another version"),
        ("NO_PERMISSION", "no-permission", "may not talk"),
        ("GPU_IS_LOST", "gpu-lost", "fallen off the bus"),
        ("UNKNOWN", "other", "NVML says: Unknown Error"),
    ],
)
def test_the_reasons_why_no_gpu_can_be_seen_are_told_apart(
    error: str, kind: str, said: str, nvml_standin: NvmlStandin
) -> None:
    gpus = look(nvml_standin("h100", fail={INIT: error}))
    assert (gpus.found, gpus.absence_kind) == ((), kind)
    assert said in gpus.absence


def test_without_a_library_there_is_no_driver(nvml_standin: NvmlStandin) -> None:
    gpus = look(nvml_standin.no_library())
    assert (gpus.found, gpus.absence_kind) == ((), "no-library")


def test_a_driver_that_sees_no_gpu(nvml_standin: NvmlStandin) -> None:
    assert look(nvml_standin(None)).absence_kind == "no-gpu"


@pytest.mark.parametrize("call", [HANDLE, "nvmlDeviceGetName", f"{MEMORY}_v2"])
def test_a_gpu_that_fell_off_the_bus_is_told_beside_the_others(call: str, nvml_standin: NvmlStandin) -> None:
    gpus = look(nvml_standin("l40s-x4", fail={f"gpu1.{call}": "GPU_IS_LOST"}))
    assert [gpu.index for gpu in gpus.found] == [0, 2, 3]
    assert (gpus.lost, gpus.unanswered, gpus.absence_kind) == ((1,), (), "")
    assert gpus.driver_version


def test_a_gpu_that_may_not_be_used_is_not_lost(nvml_standin: NvmlStandin) -> None:
    gpus = look(nvml_standin("rtx-5090-x2", fail={f"gpu0.{HANDLE}": "NO_PERMISSION"}))
    assert ([gpu.index for gpu in gpus.found], gpus.lost) == ([1], ())
    assert gpus.unanswered == ((0, "Insufficient Permissions"),)


@pytest.mark.parametrize(("error", "kind"), [("GPU_IS_LOST", "gpu-lost"), ("NO_PERMISSION", "no-permission")])
def test_where_no_gpu_answers_the_kind_says_why(error: str, kind: str, nvml_standin: NvmlStandin) -> None:
    gpus = look(nvml_standin("rtx-5090-x2", fail={HANDLE: error}))
    assert (gpus.found, gpus.absence_kind) == ((), kind)


def test_an_older_driver_tells_its_cuda_version_in_the_old_way(nvml_standin: NvmlStandin) -> None:
    newest = {"nvmlSystemGetCudaDriverVersion_v2": "FUNCTION_NOT_FOUND"}
    assert look(nvml_standin("t4", fail=newest)).cuda_version == "12.2"
    neither = {**newest, "nvmlSystemGetCudaDriverVersion": "UNKNOWN", "nvmlSystemGetDriverVersion": "UNKNOWN"}
    gpus = look(nvml_standin("t4", fail=neither))
    assert (gpus.cuda_version, gpus.driver_version, len(gpus.found)) == ("", "", 1)
