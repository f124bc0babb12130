"""Which Docker Engine is used: DOCKER_HOST, DOCKER_CONTEXT, the current context - as the docker command decides."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from rehearsed import Rehearsed
    from support.cli import Cli

SOCKET = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")


@pytest.fixture
def context(run_cli: Cli) -> Callable[[str, str], None]:
    """Write a context as `docker context create` does."""

    def create(name: str, host: str) -> None:
        digest = hashlib.sha256(name.encode()).hexdigest()
        config = Path(run_cli.environment["HOME"]) / ".docker"
        folder = config / "contexts" / "meta" / digest
        folder.mkdir(parents=True)
        (config / "config.json").write_text("{}")
        endpoint = {"docker": {"Host": host, "SkipTLSVerify": False}}
        (folder / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoint}))

    return create


@pytest.fixture
def use(run_cli: Cli) -> Callable[[str], None]:
    """Make a context the current one, as `docker context use` does."""

    def write(name: str) -> None:
        config = Path(run_cli.environment["HOME"]) / ".docker" / "config.json"
        config.parent.mkdir(exist_ok=True)
        config.write_text(json.dumps({"currentContext": name}))

    return write


def test_docker_host(rehearsed: Rehearsed, tmp_path: Path) -> None:
    missing = f"unix://{tmp_path}/nobody.sock"
    up = rehearsed.up("--json", env={"DOCKER_HOST": missing})

    assert (up.code, up.json["error"]["code"]) == (3, "runtime-unavailable")
    assert missing in up.json["error"]["what"]
    assert rehearsed.up("--no-wait", env={"DOCKER_HOST": SOCKET}).code == 0


def test_docker_context(rehearsed: Rehearsed, context: Callable[[str, str], None], tmp_path: Path) -> None:
    context("here", SOCKET)
    context("gone", f"unix://{tmp_path}/nobody.sock")

    gone = rehearsed.up("--json", env={"DOCKER_CONTEXT": "gone"})
    assert gone.code == 3
    assert "the docker context `gone`" in gone.json["error"]["what"]
    assert f"unix://{tmp_path}/nobody.sock" in gone.json["error"]["what"]
    assert rehearsed.up("--no-wait", env={"DOCKER_CONTEXT": "here"}).code == 0
    assert rehearsed.container["State"]["Running"]


def test_the_current_context(
    rehearsed: Rehearsed, context: Callable[[str, str], None], use: Callable[[str], None], tmp_path: Path
) -> None:
    context("gone", f"unix://{tmp_path}/nobody.sock")
    use("gone")

    gone = rehearsed.up()
    assert gone.code == 3
    assert "the docker context `gone`" in gone.stderr
    assert rehearsed.up("--no-wait", env={"DOCKER_CONTEXT": "default"}).code == 0


@pytest.mark.parametrize("way", ["variable", "current"])
def test_a_context_that_does_not_exist(rehearsed: Rehearsed, use: Callable[[str], None], way: str) -> None:
    if way == "current":
        use("nowhere")
    up = rehearsed.up("--json", env={"DOCKER_CONTEXT": "nowhere"} if way == "variable" else {})

    assert up.code == 3
    assert "does not exist" in up.json["error"]["what"]
    assert "docker context ls" in up.json["error"]["fix"]
    assert rehearsed.inspect() is None
