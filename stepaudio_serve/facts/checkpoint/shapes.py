"""The model's shape, from config.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .checkpoint import AudioShape, TextShape

if TYPE_CHECKING:
    from collections.abc import Mapping

_LARGEST = 2**20  # of layers, heads, sizes: far beyond any model; more is nonsense
_STEP_AUDIO = ("audio_encoder_config", "n_mels", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer")
_QWEN2_AUDIO = (
    "audio_config",
    "num_mel_bins",
    "max_source_positions",
    "d_model",
    "encoder_attention_heads",
    "encoder_layers",
)


def text_shape(config: Mapping[str, Any]) -> TextShape | None:
    """The language model's shape; None where config.json does not tell it."""
    text = config.get("text_config", config)
    try:
        heads = int(text["num_attention_heads"])
        kv_heads = int(text.get("num_attention_groups") or text.get("num_key_value_heads") or heads)
        head_dim = int(text.get("head_dim") or text["hidden_size"] // heads)
        layers, positions = int(text["num_hidden_layers"]), int(text.get("max_position_embeddings", 0))
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError, ZeroDivisionError):
        return None
    if not all(0 < size <= _LARGEST for size in (heads, kv_heads, head_dim, layers)) or not 0 <= positions <= 2**40:
        return None
    return TextShape(layers=layers, kv_heads=kv_heads, head_dim=head_dim, heads=heads, max_positions=positions)


def audio_shape(config: Mapping[str, Any]) -> AudioShape | None:
    """The audio encoder's shape, in Step-Audio's words or Qwen2-Audio's; None where config.json does not tell it."""
    section, *names = _STEP_AUDIO if _STEP_AUDIO[0] in config else _QWEN2_AUDIO
    try:
        audio = config[section]
        mel_bins, positions, state, heads, layers = (int(audio[name]) for name in names)
        kernel, stride = audio.get("kernel_size"), audio.get("adapter_stride")
        return AudioShape(
            mel_bins=mel_bins,
            positions=positions,
            state=state,
            heads=heads,
            layers=layers,
            adaptor_kernel=None if kernel is None else int(kernel),
            adaptor_stride=None if stride is None else int(stride),
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return None
