"""A 16-bit checkpoint that vLLM quantises while it loads: parameters of vLLM's own are no missing tensors."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from support.step_audio.recorded import CHECKPOINT

if TYPE_CHECKING:
    from pathlib import Path

LOAD = f"""
from vllm import LLM
LLM({str(CHECKPOINT)!r}, quantization="fp8_per_channel", dtype="bfloat16", max_model_len=512, enforce_eager=True)
print("loaded")
"""


@pytest.mark.timeout(300)
def test_it_loads(vllm_python: Path, with_plugin: dict[str, str]) -> None:
    environment = with_plugin | {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    command = [vllm_python, "-c", LOAD]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, env=environment)
    assert "loaded" in done.stdout.splitlines(), done.stdout[-2000:] + done.stderr[-2000:]
