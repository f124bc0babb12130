"""Make `tiny-audio`: a checkpoint with random weights that a real vLLM loads, from nothing but this machine.

StepAudio2 (2 + 2 layers) with a byte-level tokenizer of 2048 tokens that has Step-Audio-R1's special tokens, so that
Step-Audio-R1's chat template drives it unchanged. Like the real model it does not stop by itself: neither tokenizer
nor generation_config.json names `<|EOT|>` as an end. The code that its `auto_map` names is not there: whoever serves
it has needed none.
Runs in the vLLM venv: `python checkpoints.py FOLDER`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from support.ingredients import OF_AUDIO, TOKENIZER, make_once
from support.step_audio.model import WEIGHTS, StepAudio2
from support.step_audio.prompt import Marks
from transformers import PreTrainedTokenizerFast

CONTEXT = 32768
HIDDEN, LAYERS, HEADS, KV_HEADS = 64, 2, 2, 1  # a head of 32 is the smallest that vLLM's CPU attention takes
SPECIAL_TOKENS = ["<|BOT|>", "<|EOT|>", "<audio_start>", "<audio_end>", "<audio_patch>"]


def make_tokenizer() -> PreTrainedTokenizerFast:
    """`<think>` and `</think>` are ordinary added tokens of it: they must survive skip_special_tokens."""
    return PreTrainedTokenizerFast(
        tokenizer_file=str(TOKENIZER),
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=SPECIAL_TOKENS,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def make_config(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    text = {
        "model_type": "step_audio_2_text",
        "vocab_size": len(tokenizer),
        "hidden_size": HIDDEN,
        "intermediate_size": 2 * HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_attention_groups": KV_HEADS,
        "num_key_value_heads": KV_HEADS,
        "hidden_act": "silu",
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1e6,
        "torch_dtype": "bfloat16",
        "eos_token_id": tokenizer.eos_token_id,
    }
    audio = {
        "model_type": "step_audio_2_encoder",
        "n_mels": 128,
        "n_audio_ctx": 1500,
        "n_audio_state": HIDDEN,
        "n_audio_head": 2,
        "n_audio_layer": 2,
        "llm_dim": HIDDEN,
        "kernel_size": 3,
        "adapter_stride": 2,
    }
    return {
        "architectures": ["StepAudio2ForCausalLM"],
        "model_type": "step_audio_2",
        "auto_map": {"AutoConfig": "configuration_step_audio_2.StepAudio2Config"},
        "text_config": text,
        "audio_encoder_config": audio,
        "torch_dtype": "bfloat16",
        "use_sliding_window": False,
        "sliding_window": 2048,
        "max_window_layers": LAYERS,
    }


def make_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> StepAudio2:
    """Random weights in float32, the same for the same seed."""
    torch.manual_seed(seed)
    model = StepAudio2(make_config(tokenizer), tokenizer.convert_tokens_to_ids("<audio_patch>"))
    torch.nn.init.normal_(model.encoder.positional_embedding.weight, std=0.02)
    return model


def marks(tokenizer: PreTrainedTokenizerFast) -> Marks:
    """The ids around and in place of a clip."""
    return Marks(*(tokenizer.convert_tokens_to_ids(f"<audio_{name}>") for name in ("start", "patch", "end")))


def save(model: StepAudio2, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a whole checkpoint, in bfloat16."""
    model.to(torch.bfloat16).save(folder)
    (folder / WEIGHTS).chmod(0o644)
    tokenizer.save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps({"do_sample": False}) + "\n")


def make_untrained(folder: Path) -> None:
    tokenizer = make_tokenizer()
    save(make_model(tokenizer, seed=0), tokenizer, folder)


if __name__ == "__main__":
    make_once(Path(sys.argv[1]) / "tiny-audio", OF_AUDIO, make_untrained)
