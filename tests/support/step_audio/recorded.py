"""What the fork's own code answered, recorded: a random checkpoint, two clips, and every step's numbers for them.

`tests/data/step-audio-reference` has it; `<clip>/mel` .. `<clip>/logits` in reference.npz, in float32.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER = Path(__file__).parents[2] / "data" / "step-audio-reference"
CHECKPOINT = FOLDER / "checkpoint"
RATE = 16_000
CLIPS = ("tone", "chirp")


@dataclass(frozen=True, slots=True)
class Case:
    """A prompt with one clip, and what became of it."""

    samples: NDArray[np.float32]
    prompt: str
    prompt_ids: list[int]
    steps: dict[str, NDArray[Any]]
    greedy: list[int]


def case(clip: str) -> Case:
    """What is recorded of `tone` (1 s) or `chirp` (25 s)."""
    told = json.loads((FOLDER / "reference.json").read_text("utf-8"))["cases"][clip]
    with np.load(FOLDER / "reference.npz") as arrays:
        steps = {name.partition("/")[2]: arrays[name] for name in arrays.files if name.startswith(clip + "/")}
    samples = pcm16(clip).astype(np.float32) / 32768
    return Case(samples, told["prompt"], told["prompt_ids_before"], steps, told["greedy8"])


def pcm16(clip: str) -> NDArray[np.int16]:
    """A clip's samples. The chirp, 100 to 7,000 Hz, is made anew: its file would be as large as all others."""
    if clip == "tone":
        return soundfile.read(FOLDER / "tone.wav", dtype="int16")[0]
    seconds = np.arange(25 * RATE) / RATE
    wave = 0.4 * np.sin(2 * np.pi * (100 * seconds + (7000 - 100) / 50 * seconds**2))
    return (np.rint(wave * 2**31).astype(np.int64) >> 16).astype(np.int16)
