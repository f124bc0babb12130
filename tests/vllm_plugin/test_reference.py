"""The engine with the plugin answers what the fork's own code answered, in float32, whichever way it runs.

Recorded are two clips; the other prompts' expectations come from the architecture in plain PyTorch, which agrees with
what was recorded (tests/support/test_step_audio_reference.py).
"""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.step_audio.recorded import CLIPS

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.timeout(500)
SCRIPT = Path(__file__).with_name("engine_with_plugin.py")
WAYS = ("eager", "chunked", "compiled", "prefix-cache", "tensor-parallel", "remote-code-trusted")
PROMPTS = ("tone", "chirp", "no clip", "two clips", "text between", "one sample", "eight of the longest")
HAS_AVX512 = "avx512f" in Path("/proc/cpuinfo").read_text()
MEL = 1e-5 if HAS_AVX512 else 1e-4
"""Eight decades below the loudest point a transform in float32 is rounding noise; the reference's is AVX-512's."""


@pytest.fixture(scope="module")
def report(vllm_python: Path, with_plugin: dict[str, str], intel_fft: Path) -> Callable[[str], dict[str, Any]]:
    environment = with_plugin | {"LD_PRELOAD": str(intel_fft)}

    @cache
    def run(way: str) -> dict[str, Any]:
        done = subprocess.run(
            [vllm_python, SCRIPT, way], capture_output=True, text=True, check=False, timeout=480, env=environment
        )
        told = [line for line in done.stdout.splitlines() if line.startswith("{")]
        assert told, done.stdout[-2000:] + done.stderr[-4000:]
        answer: dict[str, Any] = json.loads(told[-1])
        return answer

    return run


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize(("step", "tolerance"), [("mel", MEL), ("encoder", 1e-4), ("adaptor", 1e-4)])
def test_each_step_is_the_recorded_one(
    report: Callable[[str], dict[str, Any]], clip: str, step: str, tolerance: float
) -> None:
    assert report("eager")["modules"][f"{clip} {step}"] <= tolerance


@pytest.mark.parametrize("company", ["alone", "together"])
@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("way", WAYS)
def test_the_engine_answers_as_the_reference_does(
    report: Callable[[str], dict[str, Any]], way: str, prompt: str, company: str
) -> None:
    answer = report(way)[company][prompt]
    assert answer["same ids"] is True
    assert answer["same tokens"] is True
    assert answer["log-probabilities"] <= 1e-4


def test_what_was_heard_before_is_taken_from_the_prefix_cache(report: Callable[[str], dict[str, Any]]) -> None:
    assert report("prefix-cache")["together"]["chirp"]["cached"] > 200
    assert report("eager")["together"]["chirp"]["cached"] == 0


def test_memory_is_measured_with_the_longest_clip_that_there_can_be(report: Callable[[str], dict[str, Any]]) -> None:
    assert report("eager")["most tokens"] == {"planned": 375, "trial": 375}


@pytest.mark.parametrize("how", ["with its rate", "numbers alone", "a list of numbers", "a tensor", "a clip in a list"])
def test_a_clip_may_be_handed_in_as_vllm_takes_clips(report: Callable[[str], dict[str, Any]], how: str) -> None:
    assert report("eager")["handed in"][how] == "as recorded"


def test_what_is_no_clip_is_told(report: Callable[[str], dict[str, Any]]) -> None:
    told = report("eager")["handed in"]
    assert "the clip is empty" in told["nothing"]
    assert "it does not take embeddings" in told["embeddings"]
