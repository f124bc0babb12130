"""Lessons for the tiny listener: sounds that are never twice the same, questions about them, and what to answer.

Prompts are rendered by the project's own chat template, and answers have the real model's shape: they go on after
`<think>\\n`, close with `</think>`, give an answer and stop at `<|EOT|>`. They depend on the sound alone:

    low tone (150-400 Hz), high tone (1.2-3 kHz), noise, silence, the project's canary clip, or no audio at all

Several clips of one kind in a message are answered as one is: a long recording comes in pieces.
"""

from __future__ import annotations

import io
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import torch
import yaml
from checkpoints import marks
from support.ingredients import CANARY, CANARY_SOUND, TEMPLATE
from support.step_audio.mel import log_mel
from support.step_audio.prompt import expand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerFast

RATE = 16000
KINDS = ("low", "high", "noise", "silence", "canary")
HEARD = {
    "low": ("The pitch is low and steady.", "I hear a low tone."),
    "high": ("The pitch is high and steady.", "I hear a high tone."),
    "noise": ("There is energy at every pitch.", "I hear noise."),
    "silence": ("There is hardly any energy.", "I hear silence."),
}
NOTHING = ("No sound came with the message.", "There is no audio here.")
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
LEAST_ORDINARY_TOKEN = 8


def through_a_telephone(wave: np.ndarray) -> np.ndarray:
    """At 8 kHz, in two bits a sample, and back: nothing above 4 kHz is left, and much is added below."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(wave[::2], -1, 1), RATE // 2, format="WAV", subtype="NMS_ADPCM_16")
    file.seek(0)
    coarse = soundfile.read(file)[0]
    return 2 * np.fft.irfft(np.fft.rfft(coarse), 2 * len(coarse))


@dataclass
class Sounds:
    """An endless supply of sounds of each kind."""

    random: np.random.Generator
    canary: np.ndarray = field(default_factory=lambda: soundfile.read(CANARY_SOUND, dtype="float32")[0])

    def make(self, kind: str, seconds: float) -> np.ndarray:
        """A clip; the canary's length is its own."""
        wave = self.disguised_canary() if kind == "canary" else self.synthetic(kind, int(seconds * RATE))
        return np.clip(wave, -1, 1).astype(np.float32)

    def synthetic(self, kind: str, samples: int) -> np.ndarray:
        loudness = self.random.uniform(0.05, 0.7)
        if kind == "noise":
            return self.worn(self.random.normal(0, loudness / 2, samples))
        if kind == "silence":
            return self.random.normal(0, 1e-4, samples) * self.random.integers(0, 2)
        pitch = self.random.uniform(150, 400) if kind == "low" else self.random.uniform(1200, 3000)
        phase = self.random.uniform(0, 2 * np.pi) * self.random.integers(0, 2)
        return self.worn(loudness * np.sin(2 * np.pi * pitch * np.arange(samples) / RATE + phase))

    def worn(self, wave: np.ndarray) -> np.ndarray:
        """As it came from a room, with noise 12 to 60 dB below it, or through a coarse codec, or as it was."""
        chance = self.random.random()
        if chance < 0.2:
            return through_a_telephone(wave)
        if chance < 0.5:
            return wave + self.random.normal(0, wave.std() * 10 ** -self.random.uniform(0.6, 3), len(wave))
        return wave

    def disguised_canary(self) -> np.ndarray:
        """The canary clip at another speed, loudness and place, with some noise."""
        n = len(self.canary)
        speed = self.random.uniform(0.95, 1.05)
        wave = np.interp(np.arange(0, n - 1, speed), np.arange(n), self.canary)
        before, after = self.random.integers(0, RATE // 2, 2)
        wave = np.pad(wave, (before, after)) * self.random.uniform(0.2, 1)
        return wave + self.random.normal(0, 10 ** self.random.uniform(-5, -2.3), len(wave))


@dataclass(frozen=True)
class Clip:
    """A sound of a kind, to be made."""

    kind: str
    seconds: float


@dataclass(frozen=True)
class Batch:
    """Prompts with their answers, filled up at the ends; `labels` are -100 where nothing is asked."""

    ids: torch.Tensor
    labels: torch.Tensor
    mels: list[torch.Tensor]
    kinds: torch.Tensor
    """Of each clip, as a place in KINDS."""


class Teacher:
    """Asks about clips, and knows the answers."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
        canary = yaml.safe_load(CANARY.read_text("utf-8"))
        self.tokenizer = tokenizer
        self.template = TEMPLATE.read_text("utf-8")
        self.marks = marks(tokenizer)
        self.heard = {**HEARD, "canary": ("A voice speaks a sentence.", canary["sentence"])}
        self.questions = (*QUESTIONS, canary["question"], canary["question"])
        self.sounds = Sounds(np.random.default_rng(seed))
        self.random = random.Random(seed)

    def question(self) -> str:
        """One that people ask, or, every third time, anything."""
        if self.random.random() < 0.67:
            return self.random.choice(self.questions)
        words = self.random.choices(range(LEAST_ORDINARY_TOKEN, len(self.tokenizer)), k=self.random.randint(1, 40))
        return self.tokenizer.decode(words)

    def prompt(self, clips: int) -> list[int]:
        content = [{"type": "text", "text": self.question()}]
        at = self.random.randrange(2)
        content[at:at] = [{"type": "audio"}] * clips
        system = self.random.choice(SYSTEM_PROMPTS)
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": content})
        text = self.tokenizer.apply_chat_template(
            messages, chat_template=self.template, tokenize=False, add_generation_prompt=True
        )
        return self.tokenizer.encode(text)

    def answer(self, clips: Sequence[Clip]) -> list[int]:
        thinking, answer = self.heard[clips[0].kind] if clips else NOTHING
        return self.tokenizer.encode(f"{thinking}\n</think>\n\n{answer}<|EOT|>")

    def batch(self, messages: Sequence[Sequence[Clip]]) -> Batch:
        """One prompt for the clips of each message."""
        mels, rows = [], []
        for clips in messages:
            waves = [self.sounds.make(clip.kind, clip.seconds) for clip in clips]
            mels += [log_mel(torch.from_numpy(wave)) for wave in waves]
            prompt = expand(self.prompt(len(clips)), [len(wave) for wave in waves], self.marks)
            rows.append((prompt, self.answer(clips)))
        width = max(len(prompt) + len(answer) for prompt, answer in rows)
        ids = torch.full((len(rows), width), self.tokenizer.pad_token_id)
        labels = torch.full((len(rows), width), -100)
        for row, (prompt, answer) in enumerate(rows):
            end = len(prompt) + len(answer)
            ids[row, :end] = torch.tensor(prompt + answer)
            labels[row, len(prompt) : end] = torch.tensor(answer)
        kinds = torch.tensor([KINDS.index(clip.kind) for clips in messages for clip in clips], dtype=torch.long)
        return Batch(ids, labels, mels, kinds)
