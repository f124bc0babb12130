"""Make `tiny-audio`: a checkpoint with random weights that a real vLLM loads, from nothing but this machine.

Qwen2-Audio (2 + 2 layers) with a byte-level tokenizer that has Step-Audio-R1's special tokens. Its audio
placeholder is called `<audio_patch>`, so Step-Audio-R1's chat template drives it unchanged. Like the real model it
does not stop by itself: neither tokenizer nor generation_config.json names `<|EOT|>` as an end.
Runs in the vLLM venv: `python checkpoints.py FOLDER`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    Qwen2Config,
    WhisperFeatureExtractor,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VOCABULARY = 2048
SPECIAL_TOKENS = ["<|endoftext|>", "<|BOT|>", "<|EOT|>", "<audio_start>", "<audio_end>", "<audio_patch>"]
# ordinary added tokens: they must survive skip_special_tokens
THINKING_TOKENS = ["<think>", "</think>"]
HIDDEN, LAYERS, HEADS, KV_HEADS = 64, 2, 2, 1  # a head of 32 is the smallest that vLLM's CPU attention takes


def corpus() -> Iterator[str]:
    """Text that every Debian machine has, in a fixed order."""
    library = Path(os.__file__).parent
    files = [*sorted(Path("/usr/share/common-licenses").glob("*")), *sorted(library.glob("[a-f]*.py"))[:60]]
    for file in files:
        yield file.read_text("utf-8", "ignore")


def make_tokenizer() -> PreTrainedTokenizerFast:
    bpe = Tokenizer(models.BPE(byte_fallback=False))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL_TOKENS + THINKING_TOKENS,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    bpe.train_from_iterator(corpus(), trainer)
    description = json.loads(bpe.to_str())
    for token in description["added_tokens"]:
        token["special"] = token["content"] not in THINKING_TOKENS
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(description)),
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|BOT|>", "<|EOT|>", "<audio_start>", "<audio_end>", "<audio_patch>"],
        model_max_length=32768,
        clean_up_tokenization_spaces=False,
    )


def make_config(tokenizer: PreTrainedTokenizerFast) -> Qwen2AudioConfig:
    text = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=2 * HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=32768,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="bfloat16",
    )
    return Qwen2AudioConfig(
        text_config=text.to_dict(),
        audio_config={
            "model_type": "qwen2_audio_encoder",
            "num_mel_bins": 80,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 2 * HIDDEN,
            "d_model": HIDDEN,
            "max_source_positions": 1500,
        },
        audio_token_index=tokenizer.convert_tokens_to_ids("<audio_patch>"),
    )


def save_weights(model: Qwen2AudioForConditionalGeneration, folder: Path) -> None:
    """Save config and weights, the latter under the names of published checkpoints, which vLLM wants."""
    model.to(torch.bfloat16).save_pretrained(folder)
    weights = folder / "model.safetensors"
    renamed = {
        name.replace("language_model.model.model.", "language_model.model.").replace(
            "language_model.model.lm_head.", "language_model.lm_head."
        ): tensor
        for name, tensor in load_file(weights).items()
    }
    save_file(renamed, weights, metadata={"format": "pt"})


def save(model: Qwen2AudioForConditionalGeneration, folder: Path) -> None:
    tokenizer = make_tokenizer()
    processor = Qwen2AudioProcessor(
        feature_extractor=WhisperFeatureExtractor(feature_size=80, return_attention_mask=True),
        tokenizer=tokenizer,
        audio_token="<audio_patch>",
        audio_bos_token="<audio_start>",
        audio_eos_token="<audio_end>",
    )
    processor.chat_template = None
    save_weights(model, folder)
    processor.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps({"do_sample": False}))


def make_once(target: Path, ingredients: list[Path], make: Callable[[Path], None]) -> None:
    """Have `make` fill the folder `target`, unless it was made from the same `ingredients` before."""
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in ingredients)).hexdigest()
    made_from = target / "made-from.txt"
    if made_from.exists() and made_from.read_text() == digest:
        print("ready:", target)
        return
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    make(part)
    (part / made_from.name).write_text(digest)
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    print("made:", target)


def make_untrained(folder: Path) -> None:
    torch.manual_seed(0)
    save(Qwen2AudioForConditionalGeneration(make_config(make_tokenizer())), folder)


if __name__ == "__main__":
    make_once(Path(sys.argv[1]) / "tiny-audio", [Path(__file__)], make_untrained)
