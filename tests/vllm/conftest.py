"""A real vLLM in a container, with the guard before it, started as a user starts it."""

from __future__ import annotations

import json
import socket
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from support.attacks.attack import Target
from support.cli import Cli, isolated_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient
    from docker.models.containers import Container

KEY = "a-key-of-the-tests"


@dataclass(frozen=True, slots=True)
class Guarded:
    """The running deployment: where to send requests, and the container it runs in."""

    target: Target
    container: Container

    def state(self) -> dict[str, Any]:
        """Docker's word on the container, as it is now."""
        self.container.reload()
        return dict(self.container.attrs)


@pytest.fixture(scope="session")
def guarded(
    vllm_image: str, checkpoints: Path, docker_engine: DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    name = f"t-vllm-guarded-{uuid.uuid4().hex[:6]}"
    cli = Cli(tmp_path_factory.mktemp("here"), isolated_environment(tmp_path_factory.mktemp("home")))
    image = ("--engine-image", "upstream", "--image", vllm_image, "--gpus", "none")
    settings = ("--model", checkpoints / "tiny-listener", "--name", name)
    place = ("--port", str(port), "--api-key", KEY, "--canary", "strict", "--json", "--", "--enforce-eager")
    started = cli("up", *image, *settings, *place, timeout=400)
    try:
        assert started.code == 0, started.stderr
        yield Guarded(Target(port, "Step-Audio-R1", KEY), docker_engine.containers.get(started.json["container_id"]))
    finally:
        cli("down", name, "--stop-grace", "1")


@pytest.fixture(scope="session")
def special(checkpoints: Path) -> dict[str, int]:
    """The special tokens of the model that is served, and their ids, which are not those of Step-Audio-R1."""
    tokenizer = json.loads((checkpoints / "tiny-listener" / "tokenizer.json").read_text())
    return {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
