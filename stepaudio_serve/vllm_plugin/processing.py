"""Between a request and the model: clips to mel frames, and each `<audio_patch>` to as many tokens as its clip has."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from transformers import BatchFeature
from vllm.multimodal.inputs import MultiModalFieldConfig
from vllm.multimodal.parse import AudioProcessorItems, MultiModalDataParser
from vllm.multimodal.processing import (
    BaseDummyInputsBuilder,
    BaseMultiModalProcessor,
    BaseProcessingInfo,
    PromptReplacement,
    PromptUpdateDetails,
)

from .clips import ClipError, check_length, check_samples
from .config import StepAudio2Config
from .lengths import SAMPLE_RATE, ClipLengths
from .mel import log_mel

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

PATCH, START, END = "<audio_patch>", "<audio_start>", "<audio_end>"


class StepAudioProcessor:
    """Mel frames of clips. It stands where a Hugging Face processor would, which these checkpoints do not bring."""

    def __init__(self, bands: int) -> None:
        self.bands = bands

    def __call__(self, audio: Sequence[np.ndarray] = (), **_: object) -> BatchFeature:
        """One tensor `[frames, bands]` a clip, each as long as it is: nothing is padded."""
        return BatchFeature({"mels": [log_mel(clip, self.bands) for clip in audio]})


class StepAudioDataParser(MultiModalDataParser):
    """Clips of a request as mono samples at 16 kHz, each checked before and after it is resampled."""

    def __init__(self, lengths: ClipLengths) -> None:
        super().__init__(target_sr=SAMPLE_RATE, target_channels=1)
        self.lengths = lengths

    def parse_mm_data(self, mm_data: Any, **more: Any) -> Any:
        """vLLM's own, and what it may raise.

        Raises:
            ClipError: a clip is empty, too long, or holds what is no number; or it is no sound but embeddings.
        """
        given = mm_data.get("audio")
        if isinstance(given, Mapping) or self.is_embeddings(given):
            raise ClipError("Step-Audio hears sound; it does not take embeddings of it")
        for clip in _clips(given):
            samples, rate = clip if isinstance(clip, tuple) else (clip, SAMPLE_RATE)
            length = max(np.shape(samples)) if np.size(samples) else 0
            check_length(length, rate, self.lengths.most_samples)
            check_samples(samples)
        items = super().parse_mm_data(mm_data, **more)
        for clip in items.get_items("audio", AudioProcessorItems) if "audio" in items else ():
            if clip is not None:
                check_length(len(clip), SAMPLE_RATE, self.lengths.most_samples)
        return items


def _clips(audio: Any) -> list[Any]:
    """The clips in what vLLM takes as audio: one alone, or several; those that its cache has are None."""
    if audio is None:
        return []
    alone = isinstance(audio, tuple) or getattr(audio, "ndim", 0) == 1
    numbers = isinstance(audio, list) and audio and all(isinstance(sample, float) for sample in audio)
    return [audio] if alone or numbers else [clip for clip in audio if clip is not None]


class StepAudioInfo(BaseProcessingInfo):
    """What vLLM asks about the model before it plans and schedules."""

    @cached_property
    def lengths(self) -> ClipLengths:
        """Lengths for the checkpoint's encoder."""
        audio = self.get_hf_config().audio_encoder_config
        return ClipLengths(audio.n_audio_ctx, audio.kernel_size, audio.adapter_stride)

    def get_hf_config(self) -> StepAudio2Config:
        """The checkpoint's config."""
        config: StepAudio2Config = self.ctx.get_hf_config(StepAudio2Config)
        return config

    def get_hf_processor(self, **_: object) -> StepAudioProcessor:
        """The front end."""
        return StepAudioProcessor(self.get_hf_config().audio_encoder_config.n_mels)

    def get_data_parser(self) -> StepAudioDataParser:
        """Checks and resamples."""
        return StepAudioDataParser(self.lengths)

    def get_supported_mm_limits(self) -> Mapping[str, int | None]:
        """Any number of clips."""
        return {"audio": None}

    def get_mm_max_tokens_per_item(
        self, seq_len: int, mm_counts: Mapping[str, int] | None = None
    ) -> Mapping[str, int] | None:
        """Embeddings of the longest clip: what the encoder's cache and its memory are measured by."""
        return {"audio": self.lengths.most_tokens}

    def token_id(self, token: str) -> int:
        """The id of one of the model's own tokens.

        Raises:
            ValueError: the checkpoint's tokenizer lacks it.
        """
        vocabulary = self.get_tokenizer().get_vocab()
        if token not in vocabulary:
            raise ValueError(f"the checkpoint's tokenizer has no token {token}: it is not a Step-Audio tokenizer")
        return int(vocabulary[token])


class StepAudioDummyInputs(BaseDummyInputsBuilder[StepAudioInfo]):
    """The longest clips, for vLLM to measure memory with."""

    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        """A placeholder a clip."""
        return PATCH * mm_counts.get("audio", 0)

    def get_dummy_mm_data(self, seq_len: int, mm_counts: Mapping[str, int], mm_options: Mapping[str, Any]) -> Any:
        """Silence of the longest length."""
        clips = self._get_dummy_audios(
            length=self.info.lengths.most_samples,
            num_audios=mm_counts.get("audio", 0),
            overrides=mm_options.get("audio"),
        )
        return {"audio": clips}


class StepAudioMultiModalProcessor(BaseMultiModalProcessor[StepAudioInfo]):
    """Puts mel frames and placeholders together.

    Raises:
        ValueError: the checkpoint's tokenizer lacks one of the tokens around a clip.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.patch, self.start, self.end = (self.info.token_id(token) for token in (PATCH, START, END))

    def _get_mm_fields_config(
        self, hf_inputs: BatchFeature, hf_processor_mm_kwargs: Mapping[str, object]
    ) -> Mapping[str, MultiModalFieldConfig]:
        return {"mels": MultiModalFieldConfig.batched("audio")}

    def _get_prompt_updates(
        self, mm_items: Any, hf_processor_mm_kwargs: Mapping[str, object], out_mm_kwargs: Any
    ) -> Sequence[PromptReplacement]:
        mels: Sequence[torch.Tensor] = out_mm_kwargs.get_data().get("mels", ())

        def expanded(number: int) -> PromptUpdateDetails:
            count = self.info.lengths.tokens(len(mels[number]))
            return PromptUpdateDetails.select_token_id([self.start, *[self.patch] * count, self.end], self.patch)

        return [PromptReplacement(modality="audio", target=[self.patch], replacement=expanded)]
