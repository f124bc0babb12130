"""A compose project for a current vLLM: plugin, guard and template come from the files that `render compose` wrote."""

from __future__ import annotations

import subprocess
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from docker import DockerClient
    from support.cli import Cli

pytestmark = [pytest.mark.vllm, pytest.mark.compose, pytest.mark.timeout(400)]
CLIP = files("stepaudio_serve.startup") / "canary.wav"


def test_it_hears(
    run_cli: Cli,
    compose_command: tuple[str, ...],
    vllm_image: str,
    checkpoints: Path,
    docker_engine: DockerClient,
    deployment_name: str,
    free_port: int,
) -> None:
    engine = ("--engine-image", "upstream", "--image", vllm_image, "--gpus", "none")
    model = ("--model", str(checkpoints / "tiny-listener"), "--name", deployment_name, "--port", str(free_port))
    folder = run_cli.folder / "compose project"
    rendered = run_cli("render", "compose", "-o", folder, *engine, *model, "--", "--enforce-eager")
    assert rendered.code == 0, rendered.stderr
    (folder / ".env").write_text(f"STEPAUDIO_MODEL_DIR={checkpoints / 'tiny-listener'}\n")

    compose = [*compose_command, "--project-name", deployment_name]
    up = subprocess.run([*compose, "up", "-d", "--wait"], cwd=folder, capture_output=True, text=True, check=False)
    assert up.returncode == 0, up.stderr
    endpoint = f"http://127.0.0.1:{free_port}"
    asked = run_cli("ask", "--endpoint", endpoint, str(CLIP), "What is said?", "--temperature", "0", "--json")
    assert "purple" in asked.json["text"]
    log = docker_engine.containers.get(deployment_name).logs().decode()
    assert "StepAudio2ForCausalLM is registered" in log
    subprocess.run([*compose, "down"], cwd=folder, capture_output=True, check=True)
