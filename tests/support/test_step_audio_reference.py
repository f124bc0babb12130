"""The architecture in plain PyTorch answers what the fork's own code answered; so does what it calls its prompt."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.step_audio import recorded
from support.step_audio.prompt import MOST_SAMPLES, Marks, expand, patch_count

AGREEMENT = Path(__file__).parent / "step_audio" / "agreement.py"
MARKS = Marks(start=3, patch=5, end=4)
ROUNDING = {
    "mel": 1e-4,  # a Fourier transform in float32 has that much noise 8 decades below the loudest point
    "encoder": 1e-4,
    "adaptor": 1e-4,
    "embeds": 1e-4,
    "logits": 1e-4,
    "log-probabilities": 1e-4,
}


@pytest.fixture(scope="module")
def differences(vllm_python: Path) -> dict[str, Any]:
    done = subprocess.run([vllm_python, AGREEMENT], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("clip", recorded.CLIPS)
def test_every_step_agrees_with_what_was_recorded(differences: dict[str, Any], clip: str) -> None:
    assert {name: far for name, far in differences[clip].items() if name in ROUNDING and far > ROUNDING[name]} == {}


@pytest.mark.parametrize("clip", recorded.CLIPS)
def test_the_same_prompt_leads_to_the_same_answer(differences: dict[str, Any], clip: str) -> None:
    assert differences[clip]["same ids"] is True
    assert differences[clip]["same tokens"] is True


@pytest.mark.parametrize("clip", recorded.CLIPS)
def test_a_prompt_is_expanded_as_recorded(clip: str) -> None:
    case = recorded.case(clip)
    assert expand(case.prompt_ids, [len(case.samples)], MARKS) == case.steps["ids"].tolist()


def test_the_chirp_made_anew_is_the_one_recorded() -> None:
    chirp = recorded.pcm16("chirp").astype("<i2").tobytes()
    assert hashlib.sha256(chirp).hexdigest() == "bbe25926909a931a1aad122f85bbae14eaa0584b556af0de6f960dbc229f53b3"


@pytest.mark.parametrize(
    ("samples", "patches"), [(1, 1), (16_000, 13), (400_000, 313), (464_000, 363), (MOST_SAMPLES, 375)]
)
def test_a_clip_has_a_patch_for_every_80_ms(samples: int, patches: int) -> None:
    assert patch_count(samples) == patches


@pytest.mark.parametrize("samples", [0, MOST_SAMPLES + 1])
def test_a_clip_that_does_not_fit_has_none(samples: int) -> None:
    with pytest.raises(ValueError, match=str(samples)):
        patch_count(samples)


@pytest.mark.parametrize("clips", [[], [16_000, 16_000]], ids=["too few", "too many"])
def test_every_clip_has_its_place(clips: list[int]) -> None:
    with pytest.raises((ValueError, StopIteration)):
        expand([MARKS.patch], clips, MARKS)
