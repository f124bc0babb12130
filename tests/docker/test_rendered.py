"""What `render` writes, carried out without us, is a deployment that our commands know."""

from __future__ import annotations

import json
import subprocess
from importlib.resources import files
from typing import TYPE_CHECKING

from rehearsed import QUICK, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from rehearsed import Rehearsed
    from support.cli import Cli

CLIP = str(files("stepaudio_serve.startup") / "canary.wav")


def shell(rehearsed: Rehearsed, script: str, folder: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env=dict(rehearsed.cli.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def is_known(rehearsed: Rehearsed, run_cli: Cli) -> None:
    """It serves, and `status`, `ask` and `restart` know it by its name."""
    eventually(lambda: rehearsed.status()["health"] == "healthy", "the engine to serve")
    assert rehearsed.status()["endpoint"] == rehearsed.endpoint
    asked = run_cli("ask", "--name", rehearsed.name, CLIP, "What is said?", "--json")
    assert asked.code == 0, asked.stderr
    restarted = run_cli("restart", rehearsed.name, env=QUICK)
    assert restarted.code == 0, restarted.stderr
    assert rehearsed.status()["endpoint"] == rehearsed.endpoint
    assert run_cli("down", rehearsed.name).code == 0
    assert rehearsed.leaves_nothing()


def test_the_printed_line_runs_when_pasted(
    rehearsed: Rehearsed, rehearsal_image: str, run_cli: Cli, tmp_path: Path
) -> None:
    rendered = run_cli("render", *rehearsed.arguments("run")[1:], env=QUICK)
    assert rendered.code == 0, rendered.stderr
    assert f" {rehearsal_image} " in rendered.stdout
    shell(rehearsed, rendered.stdout, tmp_path)
    container = rehearsed.container["Id"]
    again = rehearsed.up()  # the same plan
    assert (again.code, rehearsed.container["Id"]) == (0, container), again.stderr
    is_known(rehearsed, run_cli)


def test_the_written_script_runs(rehearsed: Rehearsed, rehearsal_image: str, run_cli: Cli, tmp_path: Path) -> None:
    rendered = run_cli("render", *rehearsed.arguments("run", "-o", tmp_path / "it")[1:], env=QUICK)
    assert rendered.code == 0, rendered.stderr
    assert rehearsed.files() == []
    shell(rehearsed, f"sh {tmp_path}/it/run.sh", tmp_path)
    is_known(rehearsed, run_cli)


def test_a_compose_service_is_known_as_its_environment_file_made_it(
    rehearsed: Rehearsed, rehearsal_image: str, compose_command: tuple[str, ...], run_cli: Cli, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text("a-key\n")
    words = ("render", "compose", "--engine", "rehearsal", "--api-key-file", key, "-o", tmp_path)
    assert run_cli(*words, env=QUICK).code == 0
    (tmp_path / ".env").write_text(f"STEPAUDIO_NAME={rehearsed.name}\nSTEPAUDIO_PORT={rehearsed.port}\n")
    shell(rehearsed, " ".join([*compose_command, "--project-name", rehearsed.name, "up", "-d", "--wait"]), tmp_path)
    settings = json.loads(rehearsed.container["Config"]["Labels"]["io.stepaudio-serve.settings"])
    assert (settings["image"], settings["api_key_file"]) == (rehearsal_image, str(key))
    other = rehearsed.up()
    assert (other.code, "rendered" in other.stderr) == (2, True), other.stderr
    is_known(rehearsed, run_cli)
    shell(rehearsed, " ".join([*compose_command, "--project-name", rehearsed.name, "down"]), tmp_path)
