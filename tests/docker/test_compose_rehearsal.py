"""The compose project that `render compose` writes, carried out by the real tool."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rehearsed import QUICK, eventually

from stepaudio_serve.startup.probes import health

if TYPE_CHECKING:
    from rehearsed import Rehearsed
    from support.cli import Cli
    from support.gpu import GpuStandin

REPOSITORY = Path(__file__).parents[2]
CLIP = str(files("stepaudio_serve.startup") / "canary.wav")


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with compose.yaml and .env."""

    command: tuple[str, ...]
    folder: Path
    name: str

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("STEPAUDIO_")}
        return subprocess.run(
            [*self.command, "--project-name", self.name, *words],
            cwd=self.folder,
            env=kept,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )


@pytest.fixture
def project(
    rehearsed: Rehearsed, run_cli: Cli, compose_command: tuple[str, ...], rehearsal_image: str, tmp_path: Path
) -> Project:
    folder = tmp_path / "compose project"
    rendered = run_cli("render", "compose", "--engine", "rehearsal", "-o", folder, env=QUICK)
    assert rendered.code == 0, rendered.stderr
    (folder / ".env").write_text(
        f"STEPAUDIO_IMAGE={rehearsal_image}\nSTEPAUDIO_NAME={rehearsed.name}\nSTEPAUDIO_PORT={rehearsed.port}\n"
    )
    return Project(compose_command, folder, rehearsed.name)


def test_config_is_what_was_rendered(project: Project, rehearsed: Rehearsed) -> None:
    config = project("config", "--format", "json")

    assert config.returncode == 0, config.stderr
    (service,) = json.loads(config.stdout)["services"].values()
    (port,) = service["ports"]
    assert (port["host_ip"], port["published"]) == ("127.0.0.1", str(rehearsed.port))
    assert service["restart"] == "unless-stopped"
    assert all(volume.get("read_only") for volume in service["volumes"] if volume["type"] == "bind")


def test_the_life_of_the_project(project: Project, rehearsed: Rehearsed, run_cli: Cli) -> None:
    up = project("up", "-d", "--wait")
    assert up.returncode == 0, up.stderr
    listed = json.loads(project("ps", "--format", "json").stdout.splitlines()[0])
    assert (listed["Name"], listed["State"], listed["Health"]) == (rehearsed.name, "running", "healthy")

    asked = run_cli("ask", "--endpoint", rehearsed.endpoint, CLIP, "What is said?", "--json")
    assert asked.code == 0, asked.stderr
    assert "2.88 s" in asked.json["text"]

    rehearsed.docker.containers.get(rehearsed.name).exec_run(["sh", "-c", "kill -TERM 1"])
    eventually(lambda: rehearsed.container["RestartCount"] == 1, "a restart after exit code 0")
    assert rehearsed.container["State"]["ExitCode"] == 0
    eventually(lambda: health(rehearsed.endpoint) == "healthy", "the engine to serve again")

    down = project("down")
    assert down.returncode == 0, down.stderr
    assert rehearsed.inspect() is None


def test_the_repositorys_own_project_asks_for_gpus(
    compose_command: tuple[str, ...], gpu_standin: GpuStandin, rehearsed: Rehearsed, checkpoint: Path, tmp_path: Path
) -> None:
    project = Project(compose_command, REPOSITORY / "compose", rehearsed.name)
    missing = project("config")
    assert missing.returncode != 0
    assert "STEPAUDIO_MODEL_DIR" in missing.stderr

    environment = tmp_path / "env"
    environment.write_text(
        f"STEPAUDIO_MODEL_DIR={checkpoint}\nSTEPAUDIO_IMAGE=stepaudio-serve/rehearsal:0.1.0\n"
        f"STEPAUDIO_NAME={rehearsed.name}\nSTEPAUDIO_PORT={rehearsed.port}\n"
    )
    config = project("--env-file", str(environment), "config", "--format", "json")
    assert config.returncode == 0, config.stderr
    (service,) = json.loads(config.stdout)["services"].values()
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]

    up = project("--env-file", str(environment), "up", "-d", "--wait")
    assert up.returncode == 0, up.stderr
    assert rehearsed.container["HostConfig"]["DeviceRequests"][0]["Count"] == -1
    assert gpu_standin.calls(rehearsed.container["Id"])
    project("--env-file", str(environment), "down")
