"""config.json of a StepAudio2 checkpoint: a Qwen2 text part and an audio encoder."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig, Qwen2Config

from .quantization import named_as_here
from .release import MODEL_TYPE


class StepAudio2EncoderConfig(PretrainedConfig):
    """Audio encoder and adaptor; the defaults are Step-Audio-R1's and Step-Audio-2-mini's."""

    model_type = "step_audio_2_encoder"

    def __init__(
        self,
        *,
        n_mels: int = 128,
        n_audio_ctx: int = 1500,
        n_audio_state: int = 1280,
        n_audio_head: int = 20,
        n_audio_layer: int = 32,
        kernel_size: int = 3,
        adapter_stride: int = 2,
        **kwargs: Any,
    ) -> None:
        self.n_mels = n_mels
        self.n_audio_ctx = n_audio_ctx
        self.n_audio_state = n_audio_state
        self.n_audio_head = n_audio_head
        self.n_audio_layer = n_audio_layer
        self.kernel_size = kernel_size
        self.adapter_stride = adapter_stride
        super().__init__(**kwargs)


class StepAudio2Config(PretrainedConfig):
    """The whole model. `text_config` becomes Qwen2's, which is what the text part is."""

    model_type = MODEL_TYPE

    def __init__(
        self,
        text_config: dict[str, Any] | PretrainedConfig | None = None,
        audio_encoder_config: dict[str, Any] | PretrainedConfig | None = None,
        **kwargs: Any,
    ) -> None:
        self.text_config = Qwen2Config(**_text(_dictionary(text_config)))
        self.audio_encoder_config = StepAudio2EncoderConfig(**_dictionary(audio_encoder_config))
        super().__init__(**{"tie_word_embeddings": self.text_config.tie_word_embeddings, **kwargs})

    def __setattr__(self, name: str, value: Any) -> None:
        """vLLM sets `quantization_config` again after the config was made, as it stands in config.json."""
        as_here = name == "quantization_config" and isinstance(value, dict)
        super().__setattr__(name, named_as_here(value) if as_here else value)


def _dictionary(config: dict[str, Any] | PretrainedConfig | None) -> dict[str, Any]:
    if isinstance(config, PretrainedConfig):
        config = config.to_dict()
    return {key: value for key, value in (config or {}).items() if key != "model_type"}


def _text(config: dict[str, Any]) -> dict[str, Any]:
    """Step's own `num_attention_groups` is what Qwen2 calls `num_key_value_heads`."""
    groups = config.get("num_attention_groups")
    return {"tie_word_embeddings": False, **({"num_key_value_heads": groups} if groups else {}), **config}
