"""Whether the model and one full context fit the GPUs, and whether the memory is there to be taken."""

from __future__ import annotations

import math
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from ..finding import Finding
from ..plan.devices import devices_for
from ..plan.memory.engine_args import read_engine_args
from ..plan.memory.figures import ANSWER_TOKENS, GIB, GRAPHS_GIB, MARGIN
from ..plan.nearest import HIGHEST_UTILIZATION, asked_mib, is_busy, is_startable, nearest_that_fits
from ..plan.sizing import SHORTEST_USEFUL, choose_sizes, reliable_context
from ..plan.split import divides, sharing, valid_sizes
from ..plan.versions import older

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..facts.gather import Facts
    from ..plan.devices import Device
    from ..plan.plan import Plan
    from ..settings.options import Settings

GROUP = "memory"
LISTED_PROCESSES = 3


def check_memory(settings: Settings, facts: Facts, plan: Plan, *, replacing: bool = False) -> Iterator[Finding]:
    """What the memory estimate says, and what stands against it.

    `replacing`: a deployment of ours will be stopped before the start, so that memory which is taken now may be free
    by then.
    """
    if settings.engine != "vllm" or settings.gpus == "none":
        return
    devices = choose_sizes(settings, facts.checkpoint, facts.gpus).devices
    yield from _positions(facts, plan)
    if not 0 < sharing(devices) < (plan.memory.tensor_parallel_size or 1):  # those are refused as too few GPUs
        yield from _split(facts, plan)
    yield from _fit(settings, facts, plan)
    yield from _free(settings, facts, devices, replacing=replacing)
    yield from _graphs(settings, facts, plan)
    yield from _host(facts)


def _positions(facts: Facts, plan: Plan) -> Iterator[Finding]:
    text, length = facts.checkpoint.text, plan.memory.max_model_len
    if text and length and 0 < text.max_positions < length:
        yield Finding(
            "max-model-len",
            GROUP,
            "blocker",
            f"a context of {length:,} tokens is more than the model was made for",
            f"it has {text.max_positions:,} positions",
            " ".join(plan.memory.nearest) or f"--max-model-len {text.max_positions}",
        )


def _split(facts: Facts, plan: Plan) -> Iterator[Finding]:
    text, size = facts.checkpoint.text, plan.memory.tensor_parallel_size
    if text and size and not divides(text, size):
        yield Finding(
            "tensor-parallel-size",
            GROUP,
            "blocker",
            f"the model cannot be split over {size} GPUs",
            f"its {text.heads} attention heads and {text.kv_heads} KV heads do not divide by it",
            " ".join(plan.memory.nearest) or f"--tensor-parallel-size {valid_sizes(text, size)[-1]}",
        )


def _fit(settings: Settings, facts: Facts, plan: Plan) -> Iterator[Finding]:
    memory = plan.memory
    if memory.unknown:
        yield Finding("memory", GROUP, "note", "whether it fits is not known", memory.unknown)
    elif memory.fits:
        yield Finding("memory", GROUP, "ok", _what_fits(plan)) if _has_margin(plan) else _close(plan)
        yield from _crowd(settings, plan)
    elif memory.nearest:
        yield Finding(
            "memory",
            GROUP,
            "blocker",
            f"one context of {memory.max_model_len:,} tokens does not fit",
            f"it needs {memory.needed_gib:.2f} GiB on each GPU, {memory.budget_gib:.2f} are usable",
            " ".join(memory.nearest),
        )
    else:
        alone = len(devices_for(settings, facts.gpus)) == 1
        size = "" if alone else f" with tensor_parallel_size {memory.tensor_parallel_size}"
        yield Finding(
            "memory",
            GROUP,
            "blocker",
            "the model does not fit this GPU" if alone else "the model does not fit",
            f"one context of {memory.max_model_len:,} tokens needs {memory.needed_gib:.2f} GiB on each GPU{size}, "
            f"{memory.budget_gib:.2f} are usable; {_what_was_tried(settings)}",
            _fewer_bits(settings, facts) or _machines_that_hold(settings, facts),
        )


def _what_was_tried(settings: Settings) -> str:
    floor = ", and auto goes no lower" if settings.max_model_len == "auto" else ""
    least = f"room for an answer of {ANSWER_TOKENS:,} tokens beside a clip ({SHORTEST_USEFUL:,} in all{floor})"
    if settings.recipe == "model-card":
        return f"no other GPU and no context with {least} changes that, and the recipe fixes the rest"
    return (
        f"no setting that leaves {least} and keeps gpu_memory_utilization at {HIGHEST_UTILIZATION} or below, for CUDA "
        "graphs, changes that"
    )


def _fewer_bits(settings: Settings, facts: Facts) -> str:
    """R1 with FP4 weights in place of a checkpoint of the same shape in 16 bit, where these GPUs can run that."""
    from ..facts.checkpoint.published import as_published
    from ..settings.options import DEFAULT_MODEL
    from ..settings.quantizations import support

    small = as_published(replace(facts.checkpoint, requested=DEFAULT_MODEL, weights=None))
    rule = support(small.quantization.kind)
    if facts.checkpoint.quantization.kind != "none" or small.text != facts.checkpoint.text or rule is None:
        return ""
    wish = settings.model_copy(update={"model": DEFAULT_MODEL})
    sizes = choose_sizes(wish, small, facts.gpus)
    flags = nearest_that_fits(wish, small, facts.gpus)
    runs = all(not older(device.compute_capability, rule.oldest_capability) for device in sizes.devices)
    if not runs or not (flags or is_startable(wish, sizes, small)):
        return ""
    return f"{shlex.join(['--model', DEFAULT_MODEL, *flags])}   # R1 with FP4 weights"


def _has_margin(plan: Plan) -> bool:
    """Whether a context fits even where the estimate is as far off as it may be."""
    return (plan.memory.kv_tokens or 0) * MARGIN >= (plan.memory.max_model_len or 0)


def _close(plan: Plan) -> Finding:
    tokens, length = plan.memory.kv_tokens or 0, plan.memory.max_model_len or 0
    shorter = max(reliable_context(tokens), SHORTEST_USEFUL)
    return Finding(
        "memory",
        GROUP,
        "warning",
        f"one context of {length:,} tokens just fits: close to the {tokens:,} tokens of KV cache",
        "the estimate may be off by a tenth, and the engine does not start when it finds too few",
        f"--max-model-len {shorter}" if shorter < length else "",
    )


def _what_fits(plan: Plan) -> str:
    memory = plan.memory
    held = int(memory.concurrency or 0)
    contexts = f"about {held} full context{'s' if held > 1 else ''} of {memory.max_model_len:,} tokens"
    return f"the model fits with {contexts}, {memory.audio_seconds:,.0f} s of audio a request"


def _crowd(settings: Settings, plan: Plan) -> Iterator[Finding]:
    held = int(plan.memory.concurrency or 0)
    if held * 2 <= settings.max_num_seqs:
        one = held == 1
        yield Finding(
            "concurrency",
            GROUP,
            "note",
            f"{'one full context' if one else f'{held} full contexts'} at a time, not {settings.max_num_seqs}",
            "requests that do not fit into the KV cache beside others wait for them; short ones share it",
        )


def _free(settings: Settings, facts: Facts, devices: tuple[Device, ...], *, replacing: bool) -> Iterator[Finding]:
    """Memory that others hold: the engine asks for its share of the whole card when it starts."""
    share = settings.gpu_memory_utilization
    busy = [device for device in devices if is_busy((device,), share)]
    for device in busy[:1]:
        free, asked = (device.memory_free_mib or 0) / 1024, asked_mib(device, share) / 1024
        flags = (
            ""
            if settings.recipe == "model-card"
            else " ".join(nearest_that_fits(settings, facts.checkpoint, facts.gpus))
        )
        yield Finding(
            "gpu-busy",
            GROUP,
            "note" if replacing else "blocker",
            f"GPU {device.id} has {free:.1f} GiB free, the engine asks for {asked:.1f}",
            f"{_holders(facts, device)}; vLLM refuses to start with less free than its share of the card",
            _make_room(device, flags),
        )


def _make_room(device: Device, flags: str) -> str:
    drop = "sudo sh -c 'sync; echo 3 > /proc/sys/vm/drop_caches'" if device.unified else "nvidia-smi"
    why = "the file cache counts as used" if device.unified else "shows what holds it: end that"
    return flags or f"{drop}   # {why}"


def _holders(facts: Facts, device: Device) -> str:
    """The processes on a GPU, largest first."""
    gpu = next((gpu for gpu in facts.gpus.found if str(gpu.index) == device.id), None)
    processes = sorted(gpu.processes if gpu else (), key=lambda process: -(process.memory_mib or 0))
    if not processes:
        return "the file cache may hold it" if device.unified else "what holds the rest is not known"
    named = [
        f"{process.name or 'a process'} (pid {process.pid}"
        + (f", {process.memory_mib / 1024:.1f} GiB)" if process.memory_mib else ")")
        for process in processes[:LISTED_PROCESSES]
    ]
    more = len(processes) - len(named)
    return f"held by {', '.join(named)}" + (f" and {more} more" if more else "")


def _graphs(settings: Settings, facts: Facts, plan: Plan) -> Iterator[Finding]:
    memory = plan.memory
    if memory.outside_gib is None or memory.budget_gib is None or memory.outside_gib >= GRAPHS_GIB:
        return
    if not read_engine_args(settings.engine_args).graphs:
        return
    lower = math.floor((1 - GRAPHS_GIB / (memory.budget_gib + memory.outside_gib)) * 100) / 100
    wish = settings.model_copy(update={"gpu_memory_utilization": lower})
    enough = lower > 0 and choose_sizes(wish, facts.checkpoint, facts.gpus).memory.fits
    yield Finding(
        "cuda-graphs",
        GROUP,
        "warning",
        f"{memory.outside_gib:.1f} GiB of each GPU are left for CUDA graphs, which may take {GRAPHS_GIB:.0f}",
        f"they are outside the share that gpu_memory_utilization {settings.gpu_memory_utilization} gives the engine",
        f"--gpu-memory-utilization {lower}" if enough else "-- --enforce-eager   # no graphs, slower answers",
    )


def _host(facts: Facts) -> Iterator[Finding]:
    """The host's memory: the weights are read through it."""
    total, weights = facts.host.memory_total_mib, facts.checkpoint.weights_bytes / GIB
    unified = any(gpu.unified for gpu in facts.gpus.found)
    if total is not None and weights and not unified and total / 1024 < weights:
        yield Finding(
            "host-memory",
            GROUP,
            "note",
            f"this host has {total / 1024:.0f} GiB of memory, less than the weights' {weights:.0f} GiB",
            "they cannot stay in the file cache: every start reads them from the disk again",
        )


def _machines_that_hold(settings: Settings, facts: Facts) -> str:
    """A command that shows the smallest of the shipped machines on which this checkpoint fits."""
    from ..facts.recorded import on_another_machine
    from ..settings.options import DEFAULT_MODEL, Settings
    from ..settings.profiles import load_profile, profile_names

    profiles = [profile for profile in map(load_profile, profile_names()) if profile.machine]
    for profile in sorted(profiles, key=lambda profile: profile.memory_mib):
        there = on_another_machine(facts, profile.machine, named=profile.name)
        wish = Settings.model_validate({**profile.settings, "model": settings.model})
        if choose_sizes(wish, facts.checkpoint, there.gpus).memory.fits:
            model = (
                [] if profile.settings.get("model", DEFAULT_MODEL) == settings.model else ["--model", settings.model]
            )
            return shlex.join(["stepaudio-serve", "plan", "--for", profile.name, *model])
    return "stepaudio-serve profiles list"
