"""One GPU's share: its budget, what is spent before the KV cache, and the tokens that the rest holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .figures import (
    BLOCK_TOKENS,
    CARD_STEP,
    ENCODER_CLIP_GIB,
    ENCODER_TOKENS_PER_CLIP,
    GIB,
    LARGE_CARD_GIB,
    LARGE_CARD_STEP,
    LISTENING,
    NON_TORCH_AND_PEAK_GIB,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...facts.checkpoint import Checkpoint, TextShape, Weights
    from ..devices import Device
    from .engine_args import EngineArgs


@dataclass(frozen=True, slots=True)
class Share:
    """Sizes in GiB on one GPU; `token_bytes` is what one token of context takes of this GPU's KV cache."""

    total: float
    budget: float
    weights: float
    activation: float
    encoder: float
    token_bytes: int

    @property
    def cache(self) -> float:
        """What is left for the KV cache."""
        return max(0.0, self.budget - self.spent)

    @property
    def spent(self) -> float:
        """What is taken before the KV cache."""
        return self.weights + self.activation + self.encoder

    @property
    def tokens(self) -> int:
        """Tokens of KV cache, in whole blocks."""
        return int(self.cache * GIB / self.token_bytes) // BLOCK_TOKENS * BLOCK_TOKENS

    def needed(self, context: int) -> float:
        """What one context of so many tokens needs of this GPU, all in all."""
        blocks = -(-context // BLOCK_TOKENS)
        return self.spent + blocks * BLOCK_TOKENS * self.token_bytes / GIB


def share_of(
    usable_gib: float,
    utilization: float,
    weights: Weights,
    text: TextShape,
    *,
    tensor_parallel: int,
    encoder_gib: float,
    engine_args: EngineArgs,
) -> Share:
    """What one of so many GPUs holds; `usable_gib` is what a program can get of it."""
    return Share(
        total=usable_gib,
        budget=usable_gib * utilization,
        weights=max(0.0, weights.on_each(tensor_parallel) / GIB - engine_args.offloaded_gib),
        activation=NON_TORCH_AND_PEAK_GIB,
        encoder=encoder_gib,
        token_bytes=token_bytes_on_each(text, tensor_parallel, engine_args.kv_number_bytes),
    )


def token_bytes_on_each(text: TextShape, tensor_parallel: int, number_bytes: int) -> int:
    """Bytes of one token's keys and values on one GPU; heads that cannot be divided any more are held by several."""
    heads = -(-text.kv_heads // tensor_parallel)
    return text.layers * heads * text.head_dim * 2 * number_bytes


def encoder_gib(checkpoint: Checkpoint, step: int, engine_args: EngineArgs) -> float:
    """What the engine sets aside for the audio encoder: as many clips as a step of so many tokens holds, or one."""
    listens = checkpoint.audio is not None or LISTENING in checkpoint.architectures
    if not listens or not engine_args.encoder_measured:
        return 0.0
    return max(1, step // ENCODER_TOKENS_PER_CLIP) * ENCODER_CLIP_GIB


def usable_gib(devices: Sequence[Device]) -> float | None:
    """What a program can get of the smallest of them; None where one does not say."""
    sizes = [device.memory_total_mib - device.memory_reserved_mib for device in devices if device.memory_total_mib]
    return min(sizes) / 1024 if sizes and len(sizes) == len(devices) else None


def default_step(devices: Sequence[Device]) -> int:
    """The engine's own max_num_batched_tokens on these."""
    size = usable_gib(devices) or 0.0
    older = any("a100" in device.name.lower() for device in devices)
    return LARGE_CARD_STEP if size >= LARGE_CARD_GIB and not older else CARD_STEP
