"""StepAudio2ForCausalLM: an audio encoder and adaptor of ours before vLLM's own Qwen2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from vllm.model_executor.models.interfaces import SupportsLoRA, SupportsMultiModal, SupportsPP
from vllm.model_executor.models.module_mapping import MultiModelKeys
from vllm.model_executor.models.qwen2 import Qwen2ForCausalLM
from vllm.model_executor.models.utils import AutoWeightsLoader, init_vllm_registered_model, maybe_prefix
from vllm.multimodal import MULTIMODAL_REGISTRY

from .encoder import Adaptor, AudioEncoder
from .processing import PATCH, StepAudioDummyInputs, StepAudioInfo, StepAudioMultiModalProcessor
from .weights import MAPPER, check_complete, known, wanted

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch
    from vllm.config import VllmConfig
    from vllm.sequence import IntermediateTensors


@MULTIMODAL_REGISTRY.register_processor(
    StepAudioMultiModalProcessor, info=StepAudioInfo, dummy_inputs=StepAudioDummyInputs
)
class StepAudio2ForCausalLM(nn.Module, SupportsMultiModal, SupportsPP, SupportsLoRA):
    """Step-Audio-R1, R1.1 and Step-Audio-2-mini for generation. LoRA adapters apply to the text part."""

    hf_to_vllm_mapper = MAPPER
    packed_modules_mapping = Qwen2ForCausalLM.packed_modules_mapping

    @classmethod
    def get_placeholder_str(cls, modality: str, i: int) -> str | None:
        """What stands for a clip in a prompt that a template flattens to text."""
        if modality != "audio":
            raise ValueError(f"Step-Audio hears audio; it does not take {modality}")
        return PATCH

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        config, quant_config = vllm_config.model_config.hf_config, vllm_config.quant_config
        text, audio = config.text_config, config.audio_encoder_config
        self.config = config
        self.comes_whole = getattr(vllm_config, "weight_transfer_config", None) is None
        with self._mark_tower_model(vllm_config, "audio"):
            self.encoder = AudioEncoder(audio, quant_config, maybe_prefix(prefix, "encoder"))
            self.adapter = Adaptor(audio, text.hidden_size, quant_config, maybe_prefix(prefix, "adapter"))
        with self._mark_language_model(vllm_config):
            self.language_model = init_vllm_registered_model(
                vllm_config=vllm_config,
                hf_config=text,
                prefix=maybe_prefix(prefix, "language_model"),
                architectures=["Qwen2ForCausalLM"],
            )
        self.make_empty_intermediate_tensors = self.language_model.make_empty_intermediate_tensors

    def get_mm_mapping(self) -> MultiModelKeys:
        """Which part is which, for LoRA."""
        return MultiModelKeys.from_string_field(
            language_model="language_model", connector="adapter.", tower_model="encoder."
        )

    def embed_multimodal(
        self, mels: torch.Tensor | list[torch.Tensor] | None = None, **_: object
    ) -> list[torch.Tensor]:
        """Embeddings of each clip, `[tokens, width]`.

        One clip at a time: padding them to one length would change the last token of the shorter ones.
        """
        return [] if mels is None else [self.adapter(self.encoder(mel)) for mel in mels]

    def forward(
        self,
        input_ids: torch.Tensor | None,
        positions: torch.Tensor,
        intermediate_tensors: IntermediateTensors | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **_: object,
    ) -> torch.Tensor | IntermediateTensors:
        """Hidden states of the text part."""
        if intermediate_tensors is not None:
            inputs_embeds = None
        hidden: torch.Tensor | IntermediateTensors = self.language_model.model(
            input_ids, positions, intermediate_tensors, inputs_embeds=inputs_embeds
        )
        return hidden

    def compute_logits(self, hidden_states: torch.Tensor) -> torch.Tensor | None:
        """Logits of the text part."""
        logits: torch.Tensor | None = self.language_model.compute_logits(hidden_states)
        return logits

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        """Load them all.

        Raises:
            ValueError: a tensor has a name that is not known, or one is missing.
        """
        names = wanted(self)
        loaded: set[str] = AutoWeightsLoader(self).load_weights(known(weights), mapper=self.hf_to_vllm_mapper)
        if self.comes_whole:  # and not in pieces, from a trainer
            check_complete(names, loaded)
        return loaded
