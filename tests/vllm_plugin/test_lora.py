"""A LoRA adapter on the text part does what its weights, merged into the model's own, do."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("lora_with_plugin.py")


@pytest.mark.timeout(300)
def test_an_adapter_is_as_good_as_merged(vllm_python: Path, with_plugin: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [vllm_python, SCRIPT, tmp_path], capture_output=True, text=True, check=False, timeout=240, env=with_plugin
    )
    told = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert told, done.stdout[-2000:] + done.stderr[-4000:]
    far = json.loads(told[-1])
    assert far["with"] <= 1e-4
    assert far["without"] > 1
