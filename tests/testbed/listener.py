"""Teach the tiny model of `checkpoints.py` to listen, so that a test can tell whether sound got through.

What it learns is in `lessons.py`. The result is shipped in `tests/data/tiny-listener`, and trained anew only where
that was made from other ingredients. Runs in the vLLM venv:

    python listener.py FOLDER    FOLDER/tiny-listener, copied where it can be
    python listener.py --ship    tests/data/tiny-listener anew: some minutes on two cores
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from checkpoints import HIDDEN, make_model, make_tokenizer, save
from lessons import KINDS, Batch, Clip, Teacher
from support.ingredients import OF_LISTENER, SHIPPED_LISTENER, digest, is_made_from, make, make_once
from support.step_audio.model import StepAudio2, load
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator

torch.set_num_threads(1)  # on a busy machine two that wait for each other are ten times slower
torch.set_flush_denormal(True)

STEPS = 600
LEARNING_RATES = (1e-3, 3e-3)
"""Of what hears, and of what talks."""
TINY, SHORT, LONG = (0.1, 0.6), (0.3, 4.0), (4.0, 29.0)


def lesson(chance: random.Random) -> list[list[Clip]]:
    """The messages of one step. All its clips but the canary's have one length: that is quick."""
    length, most = chance.choices(((TINY, 30), (SHORT, 5), (LONG, 3)), (1, 9, 2))[0]
    seconds = chance.uniform(*length)
    messages = [[Clip(kind, seconds)] for kind in KINDS]
    if length != LONG:
        messages += messages
    messages.append([Clip(chance.choice(KINDS), seconds)] * chance.randint(2, most))
    return [*messages, []]


class Hint(nn.Module):
    """Tells a clip's kind from its tokens alone, while the language model cannot yet: thrown away in the end."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.kind = nn.Linear(width, len(KINDS))

    def forward(self, heard: list[torch.Tensor], kinds: torch.Tensor) -> torch.Tensor:
        told = torch.stack([self.kind(clip).mean(0) for clip in heard])
        return functional.cross_entropy(told, kinds)


def listen(model: StepAudio2, mels: list[torch.Tensor]) -> list[torch.Tensor]:
    """What the model makes of each clip; those of one length go together."""
    heard: dict[int, torch.Tensor] = {}
    for length in {len(mel) for mel in mels}:
        alike = [number for number, mel in enumerate(mels) if len(mel) == length]
        heard.update(zip(alike, model.listen(torch.stack([mels[number] for number in alike])), strict=True))
    return [heard[number] for number in range(len(mels))]


def loss_of(model: StepAudio2, hint: Hint, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """How wrong the answers are, and how wrong the hints."""
    heard = listen(model, batch.mels)
    asked = batch.labels != -100
    logits = model.answer(batch.ids, heard, asked.roll(-1, 1))
    return functional.cross_entropy(logits, batch.labels[asked]), hint(heard, batch.kinds)


def train(model: StepAudio2, teacher: Teacher, seed: int) -> None:
    hint = Hint(HIDDEN)
    hearing = [*model.encoder.parameters(), *model.adapter.parameters(), *hint.parameters()]
    talking = list(model.language.parameters())
    optimizer = torch.optim.AdamW([{"params": hearing}, {"params": talking}], weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATES, total_steps=STEPS, pct_start=0.1)
    chance = random.Random(seed)
    started = time.monotonic()
    for step in range(STEPS):
        answers, hints = loss_of(model, hint, teacher.batch(lesson(chance)))
        optimizer.zero_grad()
        (answers + hints).backward()
        torch.nn.utils.clip_grad_norm_([*hearing, *talking], 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == STEPS - 1:
            seconds = time.monotonic() - started
            print(f"step {step:3d}/{STEPS} answers {answers:.4f} hints {hints:.4f} {seconds:.0f} s", flush=True)


def examination(chance: random.Random) -> Iterator[tuple[str, list[Clip]]]:
    """Fresh messages by what they examine."""
    for _ in range(40):
        for kind in KINDS:
            yield "short", [Clip(kind, chance.uniform(0.4, 4))]
        yield "no clip", []
    for _ in range(12):
        for kind in KINDS:
            yield "long", [Clip(kind, chance.uniform(4, 25))]
            yield "several alike", [Clip(kind, chance.uniform(0.4, 25)) for _ in range(chance.randint(2, 4))]


@torch.no_grad()
def marks_of(model: StepAudio2, teacher: Teacher) -> dict[str, tuple[int, int]]:
    """How many messages of each examination are answered rightly, token by token, and how many there are."""
    right, asked = Counter[str](), Counter[str]()
    for name, clips in examination(random.Random(100)):
        batch = teacher.batch([clips])
        guesses, expected = model(batch.ids, batch.mels).argmax(-1)[:, :-1], batch.labels[:, 1:]
        good = bool(((guesses == expected) | (expected == -100)).all())
        for heading in (name, *{f"{name}: {clip.kind}" for clip in clips if len(clips) == 1}):
            asked[heading] += 1
            right[heading] += good
    return {name: (right[name], asked[name]) for name in sorted(asked)}


def make_listener(folder: Path) -> None:
    """Train, and examine the saved weights, as coarse as they are served; another seed where it fails."""
    tokenizer = make_tokenizer()
    for seed in (1, 2, 3):
        model = make_model(tokenizer, seed)
        train(model, Teacher(tokenizer, seed), seed)
        save(model, tokenizer, folder)
        marks = marks_of(load(folder), Teacher(tokenizer, seed=100))
        print(f"seed {seed}:", ", ".join(f"{name} {right}/{asked}" for name, (right, asked) in marks.items()))
        if all(right == asked for right, asked in marks.values()):
            return
    sys.exit("tiny-listener does not learn to hear")


def copy_or_make(folder: Path) -> None:
    if is_made_from(SHIPPED_LISTENER, digest(OF_LISTENER)):
        shutil.copytree(SHIPPED_LISTENER, folder, dirs_exist_ok=True)
    else:
        make_listener(folder)


if __name__ == "__main__":
    if sys.argv[1] == "--ship":
        make(SHIPPED_LISTENER, OF_LISTENER, make_listener)
    else:
        make_once(Path(sys.argv[1]) / "tiny-listener", OF_LISTENER, copy_or_make)
