"""The audio encoder (Whisper's shape) and the adaptor behind it: mel frames to embeddings of the language model.

Module names are the checkpoint's tensor names. Linear layers are vLLM's, so that a quantised checkpoint loads; they are
whole on every GPU, since 20 heads do not divide among all numbers of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional
from vllm.model_executor.layers.linear import ReplicatedLinear

if TYPE_CHECKING:
    from vllm.model_executor.layers.quantization import QuantizationConfig

    from .config import StepAudio2EncoderConfig

ADAPTOR_WIDTH = 2048


class AudioEncoder(nn.Module):
    """Two convolutions, learned positions, pre-norm blocks, pooling by two."""

    def __init__(
        self, config: StepAudio2EncoderConfig, quant_config: QuantizationConfig | None = None, prefix: str = ""
    ) -> None:
        super().__init__()
        state = config.n_audio_state
        self.conv1 = nn.Conv1d(config.n_mels, state, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(state, state, kernel_size=3, stride=2, padding=1)
        self.positional_embedding = nn.Embedding(config.n_audio_ctx, state)
        self.blocks = nn.ModuleList(
            Block(state, config.n_audio_head, quant_config, f"{prefix}.blocks.{number}")
            for number in range(config.n_audio_layer)
        )
        self.avg_pooler = nn.AvgPool1d(2, stride=2)
        self.after_norm = nn.LayerNorm(state)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """`[frames, mel bands]` of one clip to `[frames / 4, state]`."""
        mel = mel.to(self.conv1.weight.dtype).T[None]
        hidden = functional.gelu(self.conv1(mel))
        hidden = functional.gelu(self.conv2(hidden)).transpose(1, 2).contiguous()
        hidden = hidden + self.positional_embedding.weight[: hidden.shape[1]]
        for block in self.blocks:
            hidden = block(hidden)
        pooled = self.avg_pooler(hidden.transpose(1, 2)).transpose(1, 2)
        normed: torch.Tensor = self.after_norm(pooled)
        return normed[0]


class Block(nn.Module):
    """Attention over the whole clip, then a perceptron, each with a residual."""

    def __init__(self, state: int, heads: int, quant_config: QuantizationConfig | None, prefix: str) -> None:
        super().__init__()
        self.attn = Attention(state, heads, quant_config, f"{prefix}.attn")
        self.attn_ln = nn.LayerNorm(state)
        self.mlp = nn.Sequential(
            _linear(state, 4 * state, quant_config, f"{prefix}.mlp.0"),
            nn.GELU(),
            _linear(4 * state, state, quant_config, f"{prefix}.mlp.2"),
        )
        self.mlp_ln = nn.LayerNorm(state)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Same shape out as in."""
        hidden = hidden + self.attn(self.attn_ln(hidden))
        answer: torch.Tensor = hidden + self.mlp(self.mlp_ln(hidden))
        return answer


class Attention(nn.Module):
    """Every frame of a clip sees every other. The keys have no bias."""

    def __init__(self, state: int, heads: int, quant_config: QuantizationConfig | None, prefix: str) -> None:
        super().__init__()
        self.heads = heads
        self.query = _linear(state, state, quant_config, f"{prefix}.query")
        self.key = _linear(state, state, quant_config, f"{prefix}.key", bias=False)
        self.value = _linear(state, state, quant_config, f"{prefix}.value")
        self.out = _linear(state, state, quant_config, f"{prefix}.out")

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Same shape out as in."""
        heads = (
            layer(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(*heads)
        answer: torch.Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return answer


class Adaptor(nn.Module):
    """A convolution that halves the frames again, then two linear layers to the language model's width."""

    def __init__(
        self, config: StepAudio2EncoderConfig, width: int, quant_config: QuantizationConfig | None, prefix: str
    ) -> None:
        super().__init__()
        state, kernel = config.n_audio_state, config.kernel_size
        self.conv = nn.Conv1d(state, state, kernel, stride=config.adapter_stride, padding=kernel // 2)
        self.linear1 = _linear(state, ADAPTOR_WIDTH, quant_config, f"{prefix}.linear1")
        self.linear2 = _linear(ADAPTOR_WIDTH, width, quant_config, f"{prefix}.linear2")

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """`[frames, state]` of one clip to `[tokens, width]`."""
        hidden = functional.gelu(self.conv(hidden.T[None]))[0].T.contiguous()
        answer: torch.Tensor = self.linear2(functional.relu(self.linear1(hidden)))
        return answer


def _linear(
    inputs: int, outputs: int, quant_config: QuantizationConfig | None, prefix: str, *, bias: bool = True
) -> nn.Module:
    return ReplicatedLinear(inputs, outputs, bias=bias, quant_config=quant_config, prefix=prefix, return_bias=False)
