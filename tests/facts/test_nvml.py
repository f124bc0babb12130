"""What is read of GPUs: the real pynvml, in a process of its own, asks a stand-in for NVIDIA's library."""

from __future__ import annotations

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

    from support.nvml import NvmlStandin

    from stepaudio_serve.facts.gpu import Gpus

LOOK = (
    "import pickle, sys; from stepaudio_serve.facts.nvml import look_at_gpus; "
    "sys.stdout.buffer.write(pickle.dumps(look_at_gpus()))"
)
INIT = "nvmlInitWithFlags"
HANDLE = "nvmlDeviceGetHandleByIndex_v2"
MEMORY = "nvmlDeviceGetMemoryInfo"


def look(environment: Mapping[str, str]) -> Gpus:
    done = subprocess.run(
        [sys.executable, "-c", LOOK], env={**os.environ, **environment}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    gpus: Gpus = pickle.loads(done.stdout)
    return gpus


@pytest.mark.parametrize("name", ["rtx-pro-6000", "l40s-x4", "h100-mig", "t4"])
def test_everything_that_a_card_tells_is_read(name: str, nvml_standin: NvmlStandin) -> None:
    there = machine(name).gpus
    if name == "h100-mig":  # it is not known what is reserved there, the stand-in says nothing is
        there = replace(there, found=tuple(replace(gpu, memory_reserved_mib=0) for gpu in there.found))
    if name == "t4":
        there = replace(there, found=tuple(replace(gpu, memory_reserved_mib=0) for gpu in there.found))
    assert look(nvml_standin(name)) == there
