"""Facts of machines that are not this one, as values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepaudio_serve.facts.checkpoint import Checkpoint, TextShape, Weights
from stepaudio_serve.facts.engine import EngineFacts
from stepaudio_serve.facts.gather import Facts
from stepaudio_serve.facts.gpu import Gpu, Gpus
from stepaudio_serve.facts.host import Folders
from stepaudio_serve.facts.recorded import on_another_machine, read_facts_file

if TYPE_CHECKING:
    from collections.abc import Sequence

GIB = 2**30
RTX_5090 = 31.36
RTX_PRO_6000 = 95.0
MACHINES = Path(__file__).parents[1] / "facts" / "machines"

R1 = Checkpoint(
    requested="/models/r1",
    path=Path("/models/r1"),
    mount_source=Path("/models/r1"),
    inside="",
    exists=True,
    architectures=("StepAudio2ForCausalLM",),
    text=TextShape(layers=64, kv_heads=8, head_dim=128, heads=40, max_positions=65536),
    weights=Weights(split=round(20.60 * GIB), whole=0),
    stop_ids=(("<|endoftext|>", 151643), ("<|im_end|>", 151645), ("<|EOT|>", 151665)),
    has_remote_code=True,
)

ENGINE = EngineFacts(
    url="unix:///var/run/docker.sock",
    version="26.1.5",
    architecture="amd64",
    is_podman=False,
    is_remote=False,
    runtimes=("nvidia", "runc"),
    cdi_nvidia=False,
)

FACTS = Facts(
    checkpoint=R1,
    gpus=Gpus(()),
    engine=ENGINE,
    folders=Folders(state=Path("/state"), models=Path("/data/models"), hub_cache=Path("/hub")),
    architecture="amd64",
    chat_template="{{ messages }}",
    guard_files={"__init__.py": "from .guard import Guard\n", "guard/__init__.py": "class Guard: ...\n"},
    rehearsal_environment={},
)


def cards(sizes_gib: Sequence[float]) -> Gpus:
    """One GPU of each size."""
    found = (
        Gpu(index, f"card {index}", f"GPU-{index:04}", round(size * 1024), round(size * 1024), "12.0")
        for index, size in enumerate(sizes_gib)
    )
    return Gpus(tuple(found))


def facts(*sizes_gib: float, **changes: Any) -> Facts:
    """A Docker machine with R1 on its disk and GPUs of these sizes."""
    return replace(FACTS, gpus=cards(sizes_gib), **changes)


def machine_file(name: str) -> Path:
    """A machine as a facts file; the README beside it tells which there are."""
    return MACHINES / f"{name}.json"


def machine(name: str, **changes: Any) -> Facts:
    """That machine as if it were looked at there: R1 on its disk, a Docker Engine that runs on its processor."""
    there = on_another_machine(FACTS, read_facts_file(machine_file(name)), named=name)
    docker = replace(ENGINE, architecture=there.architecture)
    return replace(there, **{"engine": docker, "elsewhere": "", **changes})


def checkpoint(*, weights_bytes: int | None = None, **changes: Any) -> Checkpoint:
    """R1 with changes; `weights_bytes` as one sum that tensor parallelism divides."""
    if weights_bytes is not None:
        changes["weights"] = Weights(split=weights_bytes, whole=0) if weights_bytes else None
    return replace(R1, **changes)


def engine(**changes: Any) -> EngineFacts:
    return replace(ENGINE, **changes)
