from __future__ import annotations

from typing import TYPE_CHECKING

import own_engine
import pytest
from rehearsed import Rehearsed
from support import testbed
from support.checkpoints import fabricate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient
    from own_engine import OwnEngine
    from support.cli import Cli
    from support.parts import Parts


@pytest.fixture
def rehearsed(
    run_cli: Cli,
    docker_engine: DockerClient,
    rehearsal_image: str,
    deployment_name: str,
    free_port: int,
    state_home: Path,
) -> Rehearsed:
    """A deployment of the rehearsal engine that is not there yet, with a name and a port of its own."""
    return Rehearsed(run_cli, docker_engine, deployment_name, free_port, state_home / "state")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder that looks like the model's."""
    return fabricate(tmp_path / "Step-Audio-R1", "tiny", shards=1)


@pytest.fixture
def as_vllm(rehearsal_image: str, checkpoint: Path) -> tuple[str, ...]:
    """Flags that plan vLLM with its GPU and its folder, and start the rehearsal engine, which answers to `vllm` too."""
    model = ("--model", str(checkpoint), "--max-model-len", "4096")
    return ("--engine", "vllm", "--image", rehearsal_image, *model, "--canary", "off")


@pytest.fixture(scope="session")
def second_engine(docker_engine: DockerClient, rehearsal_image: str, parts: Parts) -> Iterator[OwnEngine]:
    """A Docker Engine of the tests' own, not running; it has the rehearsal image."""
    if reason := own_engine.absence():
        parts.lack("own-engine", reason)
    engine = own_engine.OwnEngine(testbed.root() / "second-engine")
    with own_engine.bridge():
        with engine.running() as client:
            engine.give_image(client, docker_engine, rehearsal_image)
            parts.have("own-engine", f"a second dockerd {client.version()['Version']}")
        yield engine
