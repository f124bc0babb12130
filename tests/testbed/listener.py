"""Teach the tiny audio model to listen, so that a test can tell whether sound got through.

Starts from `tiny-audio` (checkpoints.py) and writes `tiny-listener`. Prompts are rendered by the project's own
chat template, and answers have the real model's shape: they go on after `<think>\\n`, close with `</think>`,
give an answer and stop at `<|EOT|>`. What the model says depends on the sound alone:

    low tone (150-400 Hz), high tone (1.2-3 kHz), noise, silence, the project's canary clip, or no audio at all

Runs in the vLLM venv: `python listener.py FOLDER`. Takes about two minutes on two cores.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import soundfile
import torch
import yaml
from checkpoints import make_once, save_weights
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerFast,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    WhisperFeatureExtractor,
)

REPOSITORY = Path(__file__).resolve().parents[2]
TEMPLATE = REPOSITORY / "templates" / "step-audio-r1.jinja"
CANARY_SOUND = REPOSITORY / "stepaudio_serve" / "startup" / "canary.wav"
CANARY = CANARY_SOUND.with_suffix(".yaml")

RATE = 16000
STEPS, BATCH, LEARNING_RATE = 170, 12, 3e-3
KINDS = ("low", "high", "noise", "silence", "canary", "nothing")
HEARD = {
    "low": ("The pitch is low and steady.", "I hear a low tone."),
    "high": ("The pitch is high and steady.", "I hear a high tone."),
    "noise": ("There is energy at every pitch.", "I hear noise."),
    "silence": ("There is hardly any energy.", "I hear silence."),
    "nothing": ("No sound came with the message.", "There is no audio here."),
}
QUESTIONS = (
    "Transcribe this and describe the speaker.",
    "What do you hear?",
    "Transcribe this.",
    "Describe the sound.",
    "hi",
    "Hello",
    "What is in this clip?",
    "Who is speaking?",
    "Please summarise the recording.",
    "",
)
SYSTEM_PROMPTS = (None, None, None, "You are a helpful assistant.", "Answer briefly.")


@dataclass
class Sounds:
    """An endless supply of sounds of each kind, never twice the same."""

    random: np.random.Generator
    canary: np.ndarray = field(default_factory=lambda: soundfile.read(CANARY_SOUND, dtype="float32")[0])

    def make(self, kind: str) -> np.ndarray:
        wave = self.disguised_canary() if kind == "canary" else self.synthetic(kind)
        return np.clip(wave, -1, 1).astype(np.float32)

    def synthetic(self, kind: str) -> np.ndarray:
        n = int(self.random.uniform(0.4, 4) * RATE)
        loudness = self.random.uniform(0.05, 0.7)
        if kind == "noise":
            return self.random.normal(0, loudness / 2, n)
        if kind == "silence":
            return self.random.normal(0, 1e-4, n) * self.random.integers(0, 2)
        pitch = self.random.uniform(150, 400) if kind == "low" else self.random.uniform(1200, 3000)
        return loudness * np.sin(2 * np.pi * pitch * np.arange(n) / RATE)

    def disguised_canary(self) -> np.ndarray:
        """The canary clip at another speed, loudness and place, with some noise."""
        n = len(self.canary)
        speed = self.random.uniform(0.95, 1.05)
        wave = np.interp(np.arange(0, n - 1, speed), np.arange(n), self.canary)
        before, after = self.random.integers(0, RATE // 2, 2)
        wave = np.pad(wave, (before, after)) * self.random.uniform(0.2, 1)
        return wave + self.random.normal(0, 10 ** self.random.uniform(-5, -2.3), len(wave))


class Teacher:
    """Makes batches of (prompt, sound, answer) as tensors."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
        canary = yaml.safe_load(CANARY.read_text("utf-8"))
        self.tokenizer = tokenizer
        self.template = TEMPLATE.read_text("utf-8")
        self.patch = tokenizer.convert_tokens_to_ids("<audio_patch>")
        self.extractor = WhisperFeatureExtractor(feature_size=80, return_attention_mask=True)
        self.heard = {**HEARD, "canary": ("A voice speaks a sentence.", canary["sentence"])}
        self.questions = (*QUESTIONS, canary["question"], canary["question"])
        self.sounds = Sounds(np.random.default_rng(seed))
        self.random = random.Random(seed)

    def prompt(self, kind: str) -> list[int]:
        content = [{"type": "text", "text": self.random.choice(self.questions)}]
        if kind != "nothing":
            content.insert(self.random.randrange(2), {"type": "audio"})
        system = self.random.choice(SYSTEM_PROMPTS)
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": content})
        text = self.tokenizer.apply_chat_template(
            messages, chat_template=self.template, tokenize=False, add_generation_prompt=True
        )
        return self.tokenizer.encode(text)

    def answer(self, kind: str) -> list[int]:
        thinking, answer = self.heard[kind]
        return self.tokenizer.encode(f"{thinking}\n</think>\n\n{answer}<|EOT|>")

    def batch(self, kinds: list[str]) -> dict[str, torch.Tensor]:
        waves = [self.sounds.make(kind) for kind in kinds if kind != "nothing"]
        features = self.extractor(
            waves, sampling_rate=RATE, return_tensors="pt", padding="max_length", return_attention_mask=True
        )
        # two convolutions of stride 2 lie between mel frames and placeholders
        counts = iter([((int(n) - 1) // 2 - 1) // 2 + 1 for n in features.attention_mask.sum(-1)])
        rows = []
        for kind in kinds:
            prompt = self.prompt(kind)
            if kind != "nothing":
                at = prompt.index(self.patch)
                prompt[at : at + 1] = [self.patch] * next(counts)
            rows.append((prompt, self.answer(kind)))
        width = max(len(prompt) + len(answer) for prompt, answer in rows)
        ids = torch.full((len(rows), width), self.tokenizer.pad_token_id)
        labels = torch.full((len(rows), width), -100)
        attention = torch.zeros((len(rows), width), dtype=torch.long)
        for row, (prompt, answer) in enumerate(rows):
            end = len(prompt) + len(answer)
            ids[row, :end] = torch.tensor(prompt + answer)
            labels[row, len(prompt) : end] = torch.tensor(answer)
            attention[row, :end] = 1
        return {
            "input_ids": ids,
            "attention_mask": attention,
            "labels": labels,
            "input_features": features.input_features,
            "feature_attention_mask": features.attention_mask,
        }


def train(model: Qwen2AudioForConditionalGeneration, teacher: Teacher) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS, pct_start=0.1)
    started = time.monotonic()
    kinds = [KINDS[i % len(KINDS)] for i in range(BATCH)]
    for step in range(STEPS):
        loss = model(**teacher.batch(kinds)).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 20 == 0 or step == STEPS - 1:
            print(f"step {step:3d}/{STEPS} loss {loss.item():.4f} {time.monotonic() - started:.0f} s", flush=True)


def misheard(model: Qwen2AudioForConditionalGeneration, teacher: Teacher, rounds: int = 8) -> list[str]:
    """The kinds of fresh sounds whose answer, token by token, would not be the right one."""
    wrong = []
    with torch.no_grad():
        for _ in range(rounds):
            batch = teacher.batch(list(KINDS))
            labels = batch.pop("labels")
            guesses = model(**batch).logits.argmax(-1)[:, :-1]
            expected = labels[:, 1:]
            right = ((guesses == expected) | (expected == -100)).all(-1)
            wrong += [kind for kind, correct in zip(KINDS, right.tolist(), strict=True) if not correct]
    return wrong


def make_listener(source: Path, folder: Path) -> None:
    """Train, and judge the saved weights on sounds that the model has not heard; another seed where it fails."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(source)
    for seed in (1, 2, 3):
        torch.manual_seed(seed)
        model = Qwen2AudioForConditionalGeneration(Qwen2AudioConfig.from_pretrained(source)).float().train()
        train(model, Teacher(tokenizer, seed))
        save_weights(model, folder)
        wrong = misheard(model.float().eval(), Teacher(tokenizer, seed=100))
        if not wrong:
            return
        print(f"seed {seed} mishears {len(wrong)} sounds: {', '.join(sorted(set(wrong)))}", flush=True)
    sys.exit("tiny-listener does not learn to hear")


if __name__ == "__main__":
    checkpoints = Path(sys.argv[1])
    make_once(
        checkpoints / "tiny-listener",
        [Path(__file__), Path(__file__).with_name("checkpoints.py"), TEMPLATE, CANARY_SOUND, CANARY],
        partial(make_listener, checkpoints / "tiny-audio"),
    )
