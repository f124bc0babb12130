"""From mel frames to what the language model reads: a Whisper-like encoder and an adaptor, one clip at a time.

Clips are never padded to a common length: that would change the last token of the shorter ones.
Attributes are called as the checkpoint's tensors are.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn
from torch.nn import functional

ADAPTOR_INNER = 2048


@dataclass(frozen=True, slots=True)
class AudioShape:
    """A config's `audio_encoder_config`, by its own names."""

    n_mels: int
    n_audio_ctx: int
    n_audio_state: int
    n_audio_head: int
    n_audio_layer: int
    llm_dim: int
    kernel_size: int
    adapter_stride: int

    @classmethod
    def of(cls, config: dict[str, Any]) -> AudioShape:
        """The shape that a checkpoint's config.json tells."""
        section = config["audio_encoder_config"]
        return cls(**{field.name: section[field.name] for field in fields(cls)})


class Attention(nn.Module):
    """Every position looks at every other; keys have no bias."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (self._split(part(x)) for part in (self.query, self.key, self.value))
        seen = functional.scaled_dot_product_attention(query, key, value)
        return self.out(seen.transpose(1, 2).flatten(2))

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """Attention, then a perceptron four times as wide; each normalises what it reads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = Attention(width, heads)
        self.attn_ln = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.mlp_ln = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.attn_ln(x))
        return x + self.mlp(self.mlp_ln(x))


class Encoder(nn.Module):
    """`[1, frames, mels]` to `[1, frames / 4, state]`."""

    def __init__(self, shape: AudioShape) -> None:
        super().__init__()
        width = shape.n_audio_state
        self.conv1 = nn.Conv1d(shape.n_mels, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.positional_embedding = nn.Embedding(shape.n_audio_ctx, width)
        self.blocks = nn.ModuleList(Block(width, shape.n_audio_head) for _ in range(shape.n_audio_layer))
        self.after_norm = nn.LayerNorm(width)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        x = functional.gelu(self.conv1(mel.transpose(1, 2)))
        x = functional.gelu(self.conv2(x)).transpose(1, 2)
        x = x + self.positional_embedding.weight[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        x = functional.avg_pool1d(x.transpose(1, 2), 2).transpose(1, 2)
        return self.after_norm(x)


class Adaptor(nn.Module):
    """Halves the encoder's positions and makes them as wide as the language model's."""

    def __init__(self, shape: AudioShape) -> None:
        super().__init__()
        width = shape.n_audio_state
        self.conv = nn.Conv1d(width, width, shape.kernel_size, stride=shape.adapter_stride, padding=1)
        self.linear1 = nn.Linear(width, ADAPTOR_INNER)
        self.linear2 = nn.Linear(ADAPTOR_INNER, shape.llm_dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.gelu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        return self.linear2(functional.relu(self.linear1(x)))
