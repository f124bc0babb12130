"""The sizes of a deployment: what the settings leave to `auto`, chosen from the facts.

In this order: the most usable context, then the most full contexts at once. Each choice is explained by a note.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from ..settings.options import DEFAULT_MAX_MODEL_LEN
from .devices import devices_for
from .memory import MemoryBudget, estimate
from .memory.engine_args import read_engine_args
from .memory.figures import ANSWER_TOKENS, CLIP_TOKENS, MARGIN, SMALLEST_STEP
from .memory.share import default_step, encoder_gib, share_of, usable_gib
from .sizing_notes import context_note, split_note, step_note
from .split import alike, sharing, valid_sizes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..facts.checkpoint import Checkpoint
    from ..facts.gpu import Gpus
    from ..settings.options import Settings
    from .devices import Device
    from .plan import Note

CONTEXT_GRAIN = 256
"""An automatic context is a multiple of so many tokens, easy to read and to type. A choice of ours."""
SHORTEST_USEFUL = ANSWER_TOKENS + 512
"""An answer beside one clip of 29.98 s: less is no use."""
WORTH_IT = 9 / 8
"""A smaller step is taken when it gains this much KV cache; each halving slows long prompts down. A choice of ours."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What was chosen. `max_num_batched_tokens` is None where it is left to the engine.

    `devices` are those that will be used as far as they are known.
    """

    tensor_parallel_size: int
    max_model_len: int
    max_num_batched_tokens: int | None
    memory: MemoryBudget
    devices: tuple[Device, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """One way to run it, with the KV tokens it gives; `usable` is the context that could be had of them."""

    tensor_parallel: int
    step: int
    tokens: int
    usable: int
    max_model_len: int

    @property
    def contexts(self) -> float:
        """Full contexts at once."""
        return self.tokens / self.max_model_len


def choose_sizes(settings: Settings, checkpoint: Checkpoint, gpus: Gpus) -> Sizes:
    """The sizes for these settings on these GPUs; where facts are missing, what needs none of them."""
    devices = devices_for(settings, gpus)
    if settings.engine != "vllm" or not _known(settings, checkpoint, devices):
        return _without_facts(settings, checkpoint, gpus, devices)
    splits = _splits(settings, checkpoint, devices)
    options = [_best(settings, checkpoint, devices, split) for split in splits]
    chosen = _widest(options, settings.max_num_seqs) if settings.gpus == "all" else options[-1]
    used = devices if not alike(devices) else devices[: chosen.tensor_parallel]
    memory = estimate(
        settings,
        checkpoint,
        used,
        max_model_len=chosen.max_model_len,
        tensor_parallel=chosen.tensor_parallel,
        max_num_batched_tokens=chosen.step,
    )
    return Sizes(
        tensor_parallel_size=chosen.tensor_parallel,
        max_model_len=chosen.max_model_len,
        max_num_batched_tokens=None if settings.recipe == "model-card" else chosen.step,
        memory=memory,
        devices=used,
        notes=tuple(_notes(settings, checkpoint, devices, options, chosen)),
    )


def _known(settings: Settings, checkpoint: Checkpoint, devices: Sequence[Device]) -> bool:
    """Whether there is all that the sum needs, of every GPU that was chosen, and as many as the model is split over."""
    shape = checkpoint.text is not None and checkpoint.weights is not None
    every = not settings.gpu_ids or len(devices) == len(settings.gpu_ids)
    there = settings.tensor_parallel_size == "auto" or settings.tensor_parallel_size <= sharing(devices)
    known = shape and every and usable_gib(devices) is not None
    return known and there and not read_engine_args(settings.engine_args).beyond


def steps(settings: Settings, devices: Sequence[Device]) -> tuple[int, ...]:
    """What max_num_batched_tokens may be, descending: the engine's default and its halves, where it is left to us.

    Not below what a step has to hold: every sequence once, and one clip of audio whole.
    """
    if settings.max_num_batched_tokens != "auto":
        return (settings.max_num_batched_tokens,)
    default = default_step(devices)
    if settings.recipe == "model-card":
        return (default,)
    least = max(SMALLEST_STEP, settings.max_num_seqs, CLIP_TOKENS)
    halves = [default]
    while halves[-1] // 2 > least:
        halves.append(halves[-1] // 2)
    return (*[step for step in halves if step > least], least)


def _splits(settings: Settings, checkpoint: Checkpoint, devices: Sequence[Device]) -> tuple[int, ...]:
    """Tensor parallel sizes to choose from."""
    if settings.tensor_parallel_size != "auto":
        return (settings.tensor_parallel_size,)
    if settings.recipe == "model-card" or checkpoint.text is None or not alike(devices):
        return (1,)
    return valid_sizes(checkpoint.text, len(devices))


def _best(settings: Settings, checkpoint: Checkpoint, devices: Sequence[Device], split: int) -> Option:
    """The step for a split: of those with the most usable context the largest whose half gains too little."""
    options = [_option(settings, checkpoint, devices, split, step) for step in steps(settings, devices)]
    reach = max(option.usable for option in options)
    far = [option for option in options if option.usable == reach]
    for larger, smaller in pairwise(far):
        if larger.tokens and smaller.tokens < larger.tokens * WORTH_IT:
            return larger
    return far[-1]


def _option(settings: Settings, checkpoint: Checkpoint, devices: Sequence[Device], split: int, step: int) -> Option:
    if checkpoint.text is None or checkpoint.weights is None or (usable := usable_gib(devices)) is None:
        raise ValueError("an option needs the checkpoint's shape and the cards' sizes")
    engine_args = read_engine_args(settings.engine_args)
    share = share_of(
        usable,
        settings.gpu_memory_utilization,
        checkpoint.weights,
        checkpoint.text,
        tensor_parallel=split,
        encoder_gib=encoder_gib(checkpoint, step, engine_args),
        engine_args=engine_args,
    )
    wanted = settings.max_model_len
    if wanted != "auto":
        return Option(split, step, share.tokens, min(share.tokens, wanted), wanted)
    positions = checkpoint.text.max_positions or DEFAULT_MAX_MODEL_LEN
    reliable = min(positions, reliable_context(share.tokens))
    return Option(split, step, share.tokens, reliable, min(positions, max(reliable, SHORTEST_USEFUL)))


def reliable_context(tokens: int) -> int:
    """The longest context to rely on when the estimate says so many tokens of KV cache."""
    return int(tokens * MARGIN) // CONTEXT_GRAIN * CONTEXT_GRAIN


def _widest(options: Sequence[Option], max_num_seqs: int) -> Option:
    """The fewest GPUs with the most usable context; more while there are requests to gain."""
    reach = max(option.usable for option in options)
    first, *wider = [option for option in options if option.usable == reach]
    for option in wider:
        if int(first.contexts) < max_num_seqs and option.contexts > first.contexts:
            first = option
    return first


def _without_facts(settings: Settings, checkpoint: Checkpoint, gpus: Gpus, devices: tuple[Device, ...]) -> Sizes:
    """What can be said without the card's size or the model's shape."""
    by_ids = 1 if settings.recipe == "model-card" else max(1, len(settings.gpu_ids))
    split = by_ids if settings.tensor_parallel_size == "auto" else settings.tensor_parallel_size
    positions = checkpoint.text.max_positions if checkpoint.text else 0
    default = min(DEFAULT_MAX_MODEL_LEN, positions or DEFAULT_MAX_MODEL_LEN)
    context = default if settings.max_model_len == "auto" else settings.max_model_len
    memory = MemoryBudget()
    notes: tuple[Note, ...] = ()
    if settings.engine == "vllm":
        absence = "no GPU was asked for" if settings.gpus == "none" else gpus.absence
        short = 0 < sharing(devices) < split
        if short:
            absence = f"it is split over {split} GPUs, and {sharing(devices)} will be there"
        counted = () if short else devices
        memory = estimate(settings, checkpoint, counted, absence=absence, max_model_len=context, tensor_parallel=split)
        memory = replace(memory, fits=False) if short else memory
        notes = (context_note(context, None),) if settings.max_model_len == "auto" else ()
    step = settings.max_num_batched_tokens
    return Sizes(split, context, None if step == "auto" else step, memory, devices, notes)


def _notes(
    settings: Settings, checkpoint: Checkpoint, devices: Sequence[Device], options: Sequence[Option], chosen: Option
) -> Iterator[Note]:
    if settings.recipe == "model-card":
        return
    if settings.tensor_parallel_size == "auto" and len(devices) > 1:
        yield split_note(settings, devices, options, chosen)
    if settings.max_num_batched_tokens == "auto":
        every = steps(settings, devices)
        beside = [_option(settings, checkpoint, devices, chosen.tensor_parallel, step) for step in every]
        yield step_note(beside, chosen)
    if settings.max_model_len == "auto" and checkpoint.text is not None:
        yield context_note(chosen.max_model_len, chosen.tokens, checkpoint.text.max_positions)
