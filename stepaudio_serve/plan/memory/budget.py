"""The memory budget of a deployment, as it is shown.

An estimate, said as such: only the checkpoint's shape and the cards' sizes go in (docs/memory.md has the formula,
`figures.py` the sources).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .engine_args import read_engine_args
from .figures import ANSWER_TOKENS, AUDIO_TOKENS_PER_SECOND, GIB
from .share import default_step, encoder_gib, share_of, usable_gib

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...facts.checkpoint import Checkpoint
    from ...settings.options import Settings
    from ..devices import Device
    from .engine_args import EngineArgs


@dataclass(frozen=True, slots=True)
class MemoryBudget:
    """Sizes in GiB per GPU and in tokens; None where a fact is missing.

    `fits` says whether one context of `max_model_len` tokens does; None when nothing can be said, and `unknown` says
    why: no checkpoint, no GPU facts, no GPU asked for. It is False with `unknown` where there are fewer GPUs than the
    model is to be split over. `budget_gib` is what the engine may use; from it come, in this
    order, `weights_gib`, `activation_gib` (with the CUDA context), `encoder_gib`, and the rest is `kv_cache_gib`.
    `outside_gib` is what the engine leaves of the card, for CUDA graphs. `needed_gib` is what one full context needs.
    `audio_seconds`: what fits one request beside an answer. `nearest` are flags with which it would fit; none if it
    does, or nothing does.
    """

    fits: bool | None = None
    weights_gib: float | None = None
    kv_cache_gib: float | None = None
    kv_bytes_per_token: int | None = None
    kv_tokens: int | None = None
    concurrency: float | None = None
    audio_seconds: float | None = None
    max_num_batched_tokens: int | None = None
    unknown: str = ""
    budget_gib: float | None = None
    activation_gib: float | None = None
    encoder_gib: float | None = None
    outside_gib: float | None = None
    needed_gib: float | None = None
    tensor_parallel_size: int | None = None
    max_model_len: int | None = None
    nearest: tuple[str, ...] = ()


def estimate(
    settings: Settings,
    checkpoint: Checkpoint,
    devices: Sequence[Device],
    *,
    absence: str = "",
    max_model_len: int,
    tensor_parallel: int,
    max_num_batched_tokens: int | None = None,
) -> MemoryBudget:
    """What can be said from the facts at hand, for these sizes.

    `devices` are those that will be used, `absence` says why there is none. `max_num_batched_tokens` is None for what
    the settings say, or else the engine's default.
    """
    engine_args = read_engine_args(settings.engine_args)
    audio_seconds = round(max(0, max_model_len - ANSWER_TOKENS) / AUDIO_TOKENS_PER_SECOND)
    text, weights, usable = checkpoint.text, checkpoint.weights, usable_gib(devices)
    per_token = text.kv_bytes_per_token * engine_args.kv_number_bytes // 2 if text else None
    if text is None or weights is None or usable is None or engine_args.beyond:
        return MemoryBudget(
            weights_gib=round(weights.on_each(tensor_parallel) / GIB, 2) if weights else None,
            kv_bytes_per_token=per_token,
            audio_seconds=audio_seconds,
            unknown="; ".join(_unknown(checkpoint, absence, engine_args, sizes=usable is not None)),
            tensor_parallel_size=tensor_parallel,
            max_model_len=max_model_len,
        )
    step = max_num_batched_tokens
    if step is None:
        asked = settings.max_num_batched_tokens
        step = default_step(devices) if asked == "auto" else asked
    share = share_of(
        usable,
        settings.gpu_memory_utilization,
        weights,
        text,
        tensor_parallel=tensor_parallel,
        encoder_gib=encoder_gib(checkpoint, step, engine_args),
        engine_args=engine_args,
    )
    return MemoryBudget(
        fits=share.tokens >= max_model_len,
        weights_gib=round(share.weights, 2),
        kv_cache_gib=round(share.cache, 2),
        kv_bytes_per_token=per_token,
        kv_tokens=share.tokens,
        concurrency=round(share.tokens / max_model_len, 2),
        audio_seconds=audio_seconds,
        max_num_batched_tokens=step,
        budget_gib=round(share.budget, 2),
        activation_gib=share.activation,
        encoder_gib=round(share.encoder, 2),
        outside_gib=round(share.total - share.budget, 2),
        needed_gib=round(share.needed(max_model_len), 2),
        tensor_parallel_size=tensor_parallel,
        max_model_len=max_model_len,
    )


def _unknown(checkpoint: Checkpoint, absence: str, engine_args: EngineArgs, *, sizes: bool) -> Iterator[str]:
    if checkpoint.text is None or checkpoint.weights is None:
        yield (
            f"the checkpoint {checkpoint.requested} {checkpoint.problem}"
            if checkpoint.problem
            else "the checkpoint's config.json does not tell the model's shape"
        )
    if not sizes:
        yield absence or "the GPUs do not tell how much memory they have"
    if engine_args.beyond:
        yield f"the engine argument {engine_args.beyond[0]} is beyond this estimate"
