"""Run by a Python with PyTorch: how far the reference model is from the recorded numbers, as JSON on stdout."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
from support.step_audio.mel import log_mel
from support.step_audio.model import StepAudio2, load
from support.step_audio.prompt import Marks, expand
from support.step_audio.recorded import CHECKPOINT, CLIPS, Case, case

MARKS = Marks(start=3, patch=5, end=4)


@torch.no_grad()
def differences(model: StepAudio2, recorded: Case) -> dict[str, object]:
    mel = log_mel(torch.from_numpy(recorded.samples))
    encoded = model.encoder(mel[None])
    heard = model.listen(mel)
    ids = expand(recorded.prompt_ids, [len(recorded.samples)], MARKS)
    steps = {
        "mel": mel,
        "encoder": encoded[0],
        "adaptor": heard,
        "embeds": model.embed(torch.tensor([ids]), [heard])[0],
        "logits": model(torch.tensor([ids]), [mel])[0, -1],
    }
    theirs = {name: torch.from_numpy(recorded.steps[name]) for name in steps}
    far = {name: float((value - theirs[name]).abs().max()) for name, value in steps.items()}
    probabilities = (steps["logits"].log_softmax(-1) - theirs["logits"].log_softmax(-1)).abs().max()
    return {
        **far,
        "log-probabilities": float(probabilities),
        "same ids": ids == recorded.steps["ids"].tolist(),
        "same tokens": model.greedy(ids, [mel], len(recorded.greedy)) == recorded.greedy,
    }


if __name__ == "__main__":
    whole = load(CHECKPOINT)
    print(json.dumps({clip: differences(whole, case(clip)) for clip in CLIPS}))
