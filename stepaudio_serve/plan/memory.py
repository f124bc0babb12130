"""The memory estimate: what the weights leave for the KV cache, by the frozen fork's own arithmetic.

An estimate, said as such: only the checkpoint's shape and the cards' sizes go in. Sources of the constants:
the fork's `_get_default_max_num_batched_tokens` and encoder profiling (`budget // 365` clips of 29 s), and one
measured deployment of the released image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..facts.checkpoint import Checkpoint
    from ..facts.gpu import Gpu
    from ..settings.options import Settings

GIB = 2**30
NON_TORCH_AND_PEAK_GIB = 1.2
ENCODER_CLIP_GIB = 0.4
ENCODER_TOKENS_PER_CLIP = 365
AUDIO_TOKENS_PER_SECOND = 12.5
ANSWER_TOKENS = 4096
"""Left for the answer, of which the thinking is the longest part."""
LARGE_CARD_GIB = 70


@dataclass(frozen=True, slots=True)
class MemoryBudget:
    """Sizes in GiB per GPU and in tokens; None where a fact is missing. `audio_seconds`: what fits one request.

    `fits` is None when nothing can be said; `unknown` says why: no checkpoint, no GPU facts, or no GPU asked for.
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


def estimate(
    settings: Settings,
    checkpoint: Checkpoint,
    gpus: Sequence[Gpu],
    *,
    absence: str = "",
    max_model_len: int,
    tensor_parallel: int,
) -> MemoryBudget:
    """What can be said from the facts at hand; `gpus` are those that will be used, `absence` says why there is none."""
    audio_seconds = max(0, max_model_len - ANSWER_TOKENS) / AUDIO_TOKENS_PER_SECOND
    weights = checkpoint.weights_bytes / GIB / tensor_parallel if checkpoint.weights_bytes else None
    per_token = checkpoint.text.kv_bytes_per_token if checkpoint.text else None
    sizes = [gpu.memory_total_mib / 1024 for gpu in gpus if gpu.memory_total_mib]
    if weights is None or per_token is None or not sizes:
        return MemoryBudget(
            weights_gib=_rounded(weights),
            kv_bytes_per_token=per_token,
            audio_seconds=round(audio_seconds),
            unknown="; ".join(_unknown(checkpoint, absence, sizes=bool(sizes))),
        )
    smallest = min(sizes)
    batched = settings.max_num_batched_tokens
    if batched == "auto":
        batched = 8192 if smallest >= LARGE_CARD_GIB else 2048
    encoder = batched // ENCODER_TOKENS_PER_CLIP * ENCODER_CLIP_GIB
    cache = smallest * settings.gpu_memory_utilization - weights - NON_TORCH_AND_PEAK_GIB - encoder
    tokens = max(0, int(cache * GIB / (per_token / tensor_parallel)))
    return MemoryBudget(
        fits=tokens >= max_model_len,
        weights_gib=_rounded(weights),
        kv_cache_gib=_rounded(max(0.0, cache)),
        kv_bytes_per_token=per_token,
        kv_tokens=tokens,
        concurrency=round(tokens / max_model_len, 2),
        audio_seconds=round(audio_seconds),
        max_num_batched_tokens=batched,
    )


def _unknown(checkpoint: Checkpoint, absence: str, *, sizes: bool) -> Iterator[str]:
    if checkpoint.problem:
        yield f"the checkpoint {checkpoint.requested} {checkpoint.problem}"
    elif checkpoint.text is None:
        yield "the checkpoint's config.json does not tell the model's shape"
    if not sizes:
        yield absence or "the GPUs do not tell how much memory they have"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
