"""What `up`, `wait` and `status` say of an engine that answers without the plugin it was given."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from support.checkpoints import fabricate

if TYPE_CHECKING:
    from pathlib import Path

    from support.cli import Cli

PROGRAM = f"""\
#!/bin/sh
export STEPAUDIO_REHEARSAL_LOAD_SECONDS=0.2
echo 'INFO 11-29 13:00:00 [register.py:40] {{said}}'
exec "{sys.executable}" -m stepaudio_serve.rehearsal "$@"
"""
REGISTERED = "Step-Audio plugin 0.1.0 for vLLM 0.32.0: StepAudio2ForCausalLM is registered"


@pytest.mark.parametrize(("said", "shown"), [(REGISTERED, True), ("nothing of a plugin", False)])
def test_it_is_warned_of_and_the_engine_is_handed_over(
    said: str, shown: bool, run_cli: Cli, tmp_path: Path, free_port: int
) -> None:
    program = tmp_path / "bin" / "vllm"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(said=said))
    program.chmod(0o755)
    env = {"DOCKER_HOST": "unix:///nonexistent", "PATH": f"{program.parent}:{os.environ['PATH']}"}
    model = fabricate(tmp_path / "r1", "tiny")
    words = ("--runtime", "process", "--engine-image", "upstream", "--gpus", "none", "--port", str(free_port))
    more = ("--model", model, "--canary", "off", "--max-model-len", "4096")
    try:
        done = run_cli("up", *words, *more, env=env)
        waited = run_cli("wait", env=env)
        status = run_cli("status", env=env)
    finally:
        run_cli("down", env=env)
    assert done.code == waited.code == status.code == 0, done.stderr
    for stderr in (done.stderr, waited.stderr):
        assert ("does not show the Step-Audio plugin" in stderr) is not shown
    assert ("Step-Audio plugin 0.1.0" in status.stdout) is shown
    assert ("not shown by its log" in status.stdout) is not shown
