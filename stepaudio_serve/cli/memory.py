"""The memory plan as a sum that can be read, and beside it what an engine measured."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..plan.memory import ANSWER_TOKENS
from .output import data, prose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..plan.memory import MemoryBudget
    from ..plan.plan import Plan


def show_memory(plan: Plan, measured: Mapping[str, Any] | None) -> None:
    """What each GPU's memory is spent on, and what the rest holds."""
    memory = plan.memory
    if plan.engine != "vllm":
        return
    data("Memory (estimated)")
    if memory.unknown:
        data(f"  {prose(memory.unknown, sys.stdout, indent='  ')}")
    for label, value in (*_sum(memory, gpu=plan.gpus.driver != "none"), *_holds(memory)):
        data(f"  {label.ljust(28)} {value}")
    if measured:
        data(f"  {'measured by the engine'.ljust(28)} {error_words(measured['kv_tokens'], measured['error_percent'])}")
    data("")


def error_words(kv_tokens: int, error_percent: float | None) -> str:
    """Measured KV tokens, and how far off the prediction was."""
    if error_percent is None:
        return f"{kv_tokens:,} tokens"
    direction = "more" if error_percent > 0 else "fewer"
    off = f"{abs(error_percent):.1f} % {direction} were predicted" if error_percent else "as predicted"
    return f"{kv_tokens:,} tokens; {off}"


def _sum(memory: MemoryBudget, *, gpu: bool) -> tuple[tuple[str, str], ...]:
    """The sum on one GPU, as far as it is known; the weights alone where none is used."""
    if not gpu:
        return (("weights", _gib(memory.weights_gib)),)
    each = "each GPU" if memory.tensor_parallel_size != 1 else "the GPU"
    weights = (f"weights, {each}", _gib(memory.weights_gib))
    if memory.budget_gib is None:
        return (weights, (f"KV cache, {each}", "not known"))
    return (
        (f"budget, {each}", _gib(memory.budget_gib)),
        ("- weights", _gib(memory.weights_gib)),
        ("- engine and activations", _gib(memory.activation_gib)),
        ("- audio encoder", f"{_gib(memory.encoder_gib)}, at {memory.max_num_batched_tokens:,} tokens a step"),
        ("= KV cache", _gib(memory.kv_cache_gib)),
    )


def _holds(memory: MemoryBudget) -> tuple[tuple[str, str], ...]:
    per_token = memory.kv_bytes_per_token
    size = f", {_kib(per_token)} each" if per_token else ""
    tokens = "not known" if memory.kv_tokens is None else f"{memory.kv_tokens:,}"
    contexts = "not known" if memory.concurrency is None else f"{memory.concurrency:.2f}"
    length = f" of {memory.max_model_len:,} tokens" if memory.max_model_len and memory.concurrency is not None else ""
    audio = f"{memory.audio_seconds or 0:,.0f} s, leaving {ANSWER_TOKENS:,} tokens for the answer"
    if memory.fits is False:
        audio = "not known" if memory.unknown else "none: a full context does not fit"
    return (
        ("KV cache tokens", tokens + size),
        ("full contexts at once", contexts + length),
        ("audio in one request", audio),
    )


def _kib(size: int) -> str:
    return f"{size:,} bytes" if size < 1024 else f"{size / 1024:,.0f} KiB"


def _gib(value: float | None) -> str:
    return "not known" if value is None else f"{value:6.2f} GiB"
