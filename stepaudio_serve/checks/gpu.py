"""The GPUs: whether there are any, whether those asked for are there, and whether a container can have them."""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ..finding import Finding
from ..plan.devices import devices_for
from ..plan.nearest import nearest_that_fits
from ..plan.split import divides, sharing, valid_sizes
from .amounts import gibibytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..facts.engine import EngineFacts
    from ..facts.gather import Facts
    from ..facts.gpu import Gpu, Gpus
    from ..plan.devices import Device
    from ..settings.options import Settings

CONFIGURE = "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
GENERATE = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
GUIDE = "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html"


def check_gpus(settings: Settings, facts: Facts) -> Iterator[Finding]:
    """What the driver and the container engine say of the GPUs that vLLM is to use."""
    if settings.engine != "vllm":
        return
    if settings.gpus == "none":
        yield Finding("no-gpu", "gpu", "note", "no GPU is asked for", "only a CPU build of vLLM starts so")
        return
    gpus = facts.gpus
    if not gpus.found:
        yield from _absent(settings, facts)
        return
    absent = _absent_ids(settings, gpus)
    if absent:
        yield _missing(settings, gpus, absent)
    yield from _lost(settings, gpus)
    devices = devices_for(settings, gpus)
    if devices:
        yield Finding("gpu", "gpu", "ok", _in_words(devices, gpus))
    yield from _too_few(settings, facts, sharing(devices))
    if settings.runtime == "docker" and facts.engine is not None and not absent:
        yield _passing_on(facts.engine)


def passes_gpus(engine: EngineFacts | None) -> str:
    """How the container engine says it passes GPUs on; empty where it does not say so."""
    if engine is None:
        return ""
    if "nvidia" in engine.runtimes:
        return "the runtime nvidia"
    if engine.gpu_hook:
        return "NVIDIA's hook"
    return "CDI" if engine.cdi_nvidia else ""


# ---- none can be seen


def _absent(settings: Settings, facts: Facts) -> Iterator[Finding]:
    kind = facts.gpus.absence_kind or "other"
    if kind == "not-asked":
        return
    known = _absences().get(kind, _absences()["other"])
    what, why, fix = known["what"], known["why"], known["fix"]
    if kind == "other" and facts.gpus.absence:
        why = facts.gpus.absence
    identity = f"gpu-{kind.removeprefix('gpu-')}" if kind != "no-gpu" else "gpu-none"
    by = passes_gpus(facts.engine) if settings.runtime == "docker" else ""
    if by and not known["surely"]:
        what, why = (
            f"{what}, but the container engine can pass GPUs on by {by}",
            f"{why}; if the engine is wrong, the start fails",
        )
        yield Finding(identity, "gpu", "warning", what, why, fix)
    else:
        yield Finding(identity, "gpu", "blocker", what, why, fix)


@cache
def _absences() -> Mapping[str, Mapping[str, Any]]:
    import yaml

    known: Mapping[str, Mapping[str, Any]] = yaml.safe_load(
        (files(__package__) / "gpu_absence.yaml").read_text("utf-8")
    )
    return known


# ---- those asked for


def _absent_ids(settings: Settings, gpus: Gpus) -> list[str]:
    """The chosen ids that no GPU or slice has; lost ones are there."""
    seen = {name for gpu in gpus.found for name in _names(gpu)} | {
        str(index) for index in (*gpus.lost, *(index for index, _ in gpus.unanswered))
    }
    return [name for name in settings.gpu_ids if name not in seen]


def _names(gpu: Gpu) -> Iterator[str]:
    yield from (str(gpu.index), gpu.uuid)
    for item in gpu.slices:
        yield from (item.id, item.uuid)


def _missing(settings: Settings, gpus: Gpus, absent: list[str]) -> Finding:
    there = ", ".join(f"GPU {gpu.index} ({gpu.name})" for gpu in gpus.found)
    return Finding(
        "gpu-missing",
        "gpu",
        "blocker",
        f"there is no GPU {', '.join(absent)} (gpus: {settings.gpus})",
        f"this machine has {there}",
        f"--gpus {gpus.found[0].index}",
    )


def _lost(settings: Settings, gpus: Gpus) -> Iterator[Finding]:
    """GPUs that are there and do not answer, beside others that do."""
    for index, words in gpus.unanswered:
        yield Finding(
            "gpu-unanswered",
            "gpu",
            "blocker" if str(index) in settings.gpu_ids else "warning",
            f"GPU {index} does not answer",
            f"the driver says: {words}",
            f"--gpus {','.join(str(gpu.index) for gpu in gpus.found)}",
        )
    if not gpus.lost:
        return
    chosen = [name for name in settings.gpu_ids if name in map(str, gpus.lost)]
    numbers = ", ".join(map(str, gpus.lost))
    yield Finding(
        "gpu-lost",
        "gpu",
        "blocker" if chosen else "warning",
        f"GPU {numbers} fell off the bus",
        "the driver has lost it; `sudo dmesg -T | grep -i xid` shows when, and a reboot may bring it back",
        f"--gpus {','.join(str(gpu.index) for gpu in gpus.found)}",
    )


def _too_few(settings: Settings, facts: Facts, count: int) -> Iterator[Finding]:
    """More GPUs asked for than there will be; the fix is a number that divides the model's heads as well."""
    size, text = settings.tensor_parallel_size, facts.checkpoint.text
    if size != "auto" and count and size > count:
        nearest = " ".join(nearest_that_fits(settings, facts.checkpoint, facts.gpus))
        most = valid_sizes(text, count)[-1] if text else count
        heads = f", and its attention heads do not divide by {size}" if text and not divides(text, size) else ""
        yield Finding(
            "too-few-gpus",
            "gpu",
            "blocker",
            f"tensor_parallel_size {size} needs {size} GPUs, {count} will be there",
            f"the model is split over so many GPUs{heads}",
            nearest or f"--tensor-parallel-size {most}",
        )


def _in_words(devices: tuple[Device, ...], gpus: Gpus) -> str:
    kinds = Counter((device.name, device.memory_total_mib, device.compute_capability) for device in devices)
    words = [_kind(count, *kind) for kind, count in kinds.items()]
    if gpus.driver_version:
        words.append(f"driver {gpus.driver_version}" + (f" (CUDA {gpus.cuda_version})" if gpus.cuda_version else ""))
    return ", ".join(words)


def _kind(count: int, name: str, memory: int | None, capability: str) -> str:
    many = f"{count} x " if count > 1 else ""
    amount = f", {gibibytes(memory)}" if memory else ""
    return f"{many}{name}{amount}, compute capability {capability}"


# ---- into a container


def _passing_on(engine: EngineFacts) -> Finding:
    """Whether a container can have a GPU, with what is missing told apart."""
    if by := passes_gpus(engine):
        return Finding("gpu-passing", "gpu", "ok", f"containers get GPUs by {by}")
    why = "the GPUs are there, but no container can have them"
    if engine.toolkit is None:
        return Finding(
            "gpu-passing",
            "gpu",
            "note",
            "whether containers get GPUs cannot be seen from here",
            "the engine names neither NVIDIA's runtime nor a CDI specification",
        )
    if not engine.toolkit:
        what = "the NVIDIA Container Toolkit is not installed"
        then = GENERATE if engine.is_podman else CONFIGURE
        fix = f"sudo apt-get install nvidia-container-toolkit && {then}   # NVIDIA's package source: {GUIDE}"
        return Finding("gpu-toolkit-missing", "gpu", "blocker", what, why, fix)
    if engine.is_podman:
        what = "no CDI specification describes the GPUs"
        return Finding("gpu-cdi-missing", "gpu", "blocker", what, why, GENERATE)
    what = "the NVIDIA Container Toolkit is installed, but Docker does not know its runtime"
    return Finding("gpu-runtime-unregistered", "gpu", "blocker", what, why, CONFIGURE)
