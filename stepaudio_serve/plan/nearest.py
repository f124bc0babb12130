"""The nearest settings that fit: the same wish with as little changed as possible, as flags to paste.

Tried in this order, each alone before two together: a smaller step, another share of the memory, more of the
visible GPUs, a shorter context.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from .capability import can_compute
from .devices import devices_for
from .memory.figures import CLIP_TOKENS, SMALLEST_STEP
from .memory.share import usable_gib
from .sizing import SHORTEST_USEFUL, choose_sizes, reliable_context
from .split import alike, divides, is_slice, sharing, valid_sizes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from ..facts.checkpoint import Checkpoint
    from ..facts.gpu import Gpus
    from ..settings.options import Settings
    from .devices import Device
    from .sizing import Sizes

    Changes: TypeAlias = "Mapping[str, Any]"

HIGHEST_UTILIZATION = 0.95
"""More leaves too little of a card for CUDA graphs and what else draws on it. A choice of ours."""
LOWEST_UTILIZATION = 0.05
FLAGS = ("gpus", "tensor_parallel_size", "gpu_memory_utilization", "max_num_batched_tokens", "max_model_len")


@dataclass(frozen=True, slots=True)
class _Machine:
    """What stays the same while settings are tried."""

    checkpoint: Checkpoint
    gpus: Gpus

    def sizes(self, settings: Settings) -> Sizes:
        return choose_sizes(settings, self.checkpoint, self.gpus)


def nearest_that_fits(settings: Settings, checkpoint: Checkpoint, gpus: Gpus) -> tuple[str, ...]:
    """Flags with which the model and one full context fit, and the engine finds the memory free that it asks for.

    Empty where these settings do already, where too little is known, and where nothing does.
    """
    machine = _Machine(checkpoint, gpus)
    if machine.sizes(settings).memory.fits is None or is_startable(settings, machine.sizes(settings), checkpoint):
        return ()
    start = _corrected(settings, machine)
    if start != settings and is_startable(start, machine.sizes(start), checkpoint):
        return _flags(settings, start)
    moves = _CARD_MOVES if settings.recipe == "model-card" else _MOVES
    for count in range(1, len(moves) + 1):
        for chosen in combinations(moves, count):
            if (found := _together(start, chosen, machine)) is not None:
                return _flags(settings, found)
    return ()


def is_startable(settings: Settings, sizes: Sizes, checkpoint: Checkpoint) -> bool:
    """Whether nothing about memory stands against a start, nor about what the GPUs can compute."""
    text = checkpoint.text
    if text is None or not sizes.memory.fits or is_busy(sizes.devices, settings.gpu_memory_utilization):
        return False
    if not all(can_compute(settings, checkpoint, device) for device in sizes.devices):
        return False
    within = not text.max_positions or sizes.max_model_len <= text.max_positions
    return within and divides(text, sizes.tensor_parallel_size) and sizes.tensor_parallel_size <= sharing(sizes.devices)


def is_busy(devices: Sequence[Device], utilization: float) -> bool:
    """Whether one has less free than the engine asks for when it starts: then vLLM refuses to."""
    return any(
        device.memory_free_mib is not None and device.memory_free_mib < asked_mib(device, utilization)
        for device in devices
    )


def asked_mib(device: Device, utilization: float) -> float:
    """What the engine asks for of a GPU."""
    return ((device.memory_total_mib or 0) - device.memory_reserved_mib) * utilization


def _corrected(settings: Settings, machine: _Machine) -> Settings:
    """With what no memory could cure put right: a context beyond the model's positions, a split that cannot be."""
    text, changes = machine.checkpoint.text, dict[str, Any]()
    if text is None:
        return settings
    if text.max_positions and settings.max_model_len != "auto" and settings.max_model_len > text.max_positions:
        changes["max_model_len"] = text.max_positions
    split = settings.tensor_parallel_size
    most = sharing(devices_for(settings, machine.gpus))
    if split != "auto" and (split > most or not divides(text, split)):
        changes["tensor_parallel_size"] = valid_sizes(text, min(split, most))[-1]
    return settings.model_copy(update=changes)


def _together(start: Settings, moves: Sequence[_Move], machine: _Machine) -> Settings | None:
    """The mildest form of the last move that fits, after the strongest of those before it."""
    for move in moves[:-1]:
        strongest = [start.model_copy(update=changes) for changes in move(start, machine)][-1:]
        if not strongest:
            return None
        start = strongest[0]
    for changes in moves[-1](start, machine):
        tried = start.model_copy(update=changes)
        if is_startable(tried, machine.sizes(tried), machine.checkpoint):
            return tried
    return None


def _smaller_step(settings: Settings, _machine: _Machine) -> Iterator[Changes]:
    """Halves of a step that was set; an automatic one has been tried at every size."""
    step = settings.max_num_batched_tokens
    least = max(SMALLEST_STEP, settings.max_num_seqs, CLIP_TOKENS)
    while step != "auto" and step > least:
        step = max(step // 2, least)
        yield {"max_num_batched_tokens": step}


def _other_utilization(settings: Settings, machine: _Machine) -> Iterator[Changes]:
    """A lower share where too little is free, a higher one where too little is to be used."""
    sizes = machine.sizes(settings)
    usable = usable_gib(sizes.devices)
    if usable is None or sizes.memory.needed_gib is None:
        return
    present = settings.gpu_memory_utilization
    if is_busy(sizes.devices, present):
        free = min(
            device.memory_free_mib / asked_mib(device, 1.0)
            for device in sizes.devices
            if device.memory_free_mib is not None
        )
        share = math.floor(free * 100) / 100
        if LOWEST_UTILIZATION <= share < present:
            yield {"gpu_memory_utilization": share}
        return
    enough = math.ceil(sizes.memory.needed_gib / usable * 100) / 100
    for share in sorted({enough, round(enough + 0.01, 2), HIGHEST_UTILIZATION}):
        if present < share <= HIGHEST_UTILIZATION:
            yield {"gpu_memory_utilization": share}


def _other_gpus(settings: Settings, machine: _Machine) -> Iterator[Changes]:
    """More of the visible GPUs of one kind, or others, fewest first."""
    text = machine.checkpoint.text
    every = devices_for(settings.model_copy(update={"gpus": "all"}), machine.gpus)
    able = [device for device in every if can_compute(settings, machine.checkpoint, device)]
    present = devices_for(settings, machine.gpus)
    if text is None:
        return
    groups = [sorted(group, key=lambda device: device not in present) for group in _kinds(able)]
    most = 1 if settings.recipe == "model-card" else len(every)
    for size in valid_sizes(text, most):
        for group in groups:
            if size <= len(group):
                yield from _on(settings, group[:size], len(every))


def _on(settings: Settings, devices: Sequence[Device], visible: int) -> Iterator[Changes]:
    """The model split over just these."""
    explicit = settings.tensor_parallel_size != "auto"
    split: Changes = {"tensor_parallel_size": len(devices)} if explicit else {}
    if settings.gpus == "all" and len(devices) == visible:
        changes = split
    else:
        changes = {"gpus": ",".join(sorted((device.id for device in devices), key=int)), **split}
    if changes and any(getattr(settings, name) != value for name, value in changes.items()):
        yield changes


def _kinds(devices: Sequence[Device]) -> list[list[Device]]:
    groups: list[list[Device]] = []
    for device in (device for device in devices if not is_slice(device)):
        group = next((group for group in groups if alike((*group, device))), None)
        if group is None:
            groups.append([device])
        else:
            group.append(device)
    return groups


def _shorter_context(settings: Settings, machine: _Machine) -> Iterator[Changes]:
    """What the cache holds, with a margin as far as the rest is of use."""
    sizes = machine.sizes(settings)
    tokens = sizes.memory.kv_tokens or 0
    length = max(reliable_context(tokens), SHORTEST_USEFUL)
    if length <= tokens and length < sizes.max_model_len:
        yield {"max_model_len": length}


if TYPE_CHECKING:
    _Move: TypeAlias = "Callable[[Settings, _Machine], Iterator[Changes]]"
_MOVES: tuple[_Move, ...] = (_smaller_step, _other_utilization, _other_gpus, _shorter_context)
_CARD_MOVES: tuple[_Move, ...] = (_other_gpus, _shorter_context)


def _flags(before: Settings, after: Settings) -> tuple[str, ...]:
    """The words that turn one into the other."""
    changed = [(name, getattr(after, name)) for name in FLAGS if getattr(after, name) != getattr(before, name)]
    return tuple(word for name, value in changed for word in (f"--{name.replace('_', '-')}", str(value)))
