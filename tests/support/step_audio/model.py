"""The whole model: encoder and adaptor before transformers' Qwen2, loaded from a checkpoint and saved as one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import Qwen2Config, Qwen2ForCausalLM

from .audio import Adaptor, AudioShape, Encoder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WEIGHTS = "model.safetensors"
LANGUAGE = "language."


class StepAudio2(nn.Module):
    """Reads expanded prompts; `patch` is the id of the tokens that sound takes the place of."""

    def __init__(self, config: dict[str, Any], patch: int) -> None:
        super().__init__()
        shape = AudioShape.of(config)
        self.config = config
        self.patch = patch
        self.encoder = Encoder(shape)
        self.adapter = Adaptor(shape)
        self.language = Qwen2ForCausalLM(_qwen2(config["text_config"]))

    def listen(self, mel: torch.Tensor) -> torch.Tensor:
        """`[tokens, width]` of one clip, from its `[frames, mels]`; `[clips, ...]` of clips of one length alike."""
        clips = mel.to(self.encoder.conv1.weight.dtype)
        return self.adapter(self.encoder(clips)) if mel.ndim == 3 else self.listen(clips[None])[0]

    def embed(self, ids: torch.Tensor, heard: Sequence[torch.Tensor]) -> torch.Tensor:
        """Prompts, `[batch, tokens]`, as embeddings; `heard` is what `listen` made of their clips, in order."""
        embeds = self.language.get_input_embeddings()(ids)
        if not heard:
            return embeds
        places, sound = ids == self.patch, torch.cat(list(heard))
        if int(places.sum()) != len(sound):
            raise ValueError(f"{int(places.sum())} places for {len(sound)} tokens of sound")
        return embeds.masked_scatter(places[..., None], sound)

    def answer(
        self, ids: torch.Tensor, heard: Sequence[torch.Tensor], places: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits, `[batch, tokens, vocabulary]`, or only those of `places`, a mask of the tokens.

        Rows may be filled up at their ends: nothing looks ahead.
        """
        read = self.language.model(inputs_embeds=self.embed(ids, heard), use_cache=False).last_hidden_state
        return self.language.lm_head(read if places is None else read[places])

    def forward(self, ids: torch.Tensor, clips: Sequence[torch.Tensor] = ()) -> torch.Tensor:
        """The same from the mels of the clips."""
        return self.answer(ids, [self.listen(mel) for mel in clips])

    @torch.no_grad()
    def greedy(self, ids: Sequence[int], clips: Sequence[torch.Tensor], most: int, end: int | None = None) -> list[int]:
        """Up to `most` likeliest next tokens; ends after `end`."""
        answer: list[int] = []
        embeds, past = self.embed(torch.tensor([list(ids)]), [self.listen(mel) for mel in clips]), None
        while len(answer) < most and (not answer or answer[-1] != end):
            step = self.language(inputs_embeds=embeds, past_key_values=past, use_cache=True)
            past = step.past_key_values
            answer.append(int(step.logits[0, -1].argmax()))
            embeds = self.language.get_input_embeddings()(torch.tensor([answer[-1:]]))
        return answer

    def save(self, folder: Path) -> None:
        """Write config and weights; the language model's tensors stand at the top, as in published checkpoints."""
        tensors = {name.removeprefix(LANGUAGE): value.contiguous() for name, value in self.state_dict().items()}
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
        (folder / "config.json").write_text(json.dumps(self.config, indent=1) + "\n")


def load(folder: Path) -> StepAudio2:
    """A checkpoint in its own precision."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    tokens = json.loads((folder / "tokenizer.json").read_text("utf-8"))["added_tokens"]
    patch = next(token["id"] for token in tokens if token["content"] == "<audio_patch>")
    model = StepAudio2(config, patch)
    tensors = load_file(folder / WEIGHTS)
    audio = ("encoder.", "adapter.")
    named = {name if name.startswith(audio) else LANGUAGE + name: value for name, value in tensors.items()}
    model.to(next(iter(tensors.values())).dtype)
    model.load_state_dict(named)
    return model.eval()


def _qwen2(text: dict[str, Any]) -> Qwen2Config:
    ours = {"model_type", "num_attention_groups", "rope_theta", "torch_dtype"}
    rope = {"rope_type": "default", "rope_theta": text["rope_theta"]}
    known = {name: value for name, value in text.items() if name not in ours}
    return Qwen2Config(**known, rope_parameters=rope, tie_word_embeddings=False, attn_implementation="sdpa")
