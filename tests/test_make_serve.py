"""What `make serve` runs, on a machine without a container engine."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.cli import Cli

SCRIPT = Path(__file__).parents[1] / "tools" / "serve.py"
QUICK = {"DOCKER_HOST": "unix:///nonexistent", "STEPAUDIO_REHEARSAL_LOAD_SECONDS": "0.2", "STEPAUDIO_NAME": "made"}


@pytest.fixture
def cli(run_cli: Cli) -> Iterator[Cli]:
    yield run_cli
    run_cli("down", "made", "--stop-grace", "0", env=QUICK)


def start(cli: Cli, *words: str, **env: str) -> subprocess.Popen[str]:
    environment: Mapping[str, str] = {**cli.environment, **QUICK, **env}
    pipe = subprocess.PIPE
    command = [sys.executable, str(SCRIPT), *words]
    return subprocess.Popen(command, cwd=cli.folder, env=environment, stdout=pipe, stderr=pipe, text=True)


def serve(cli: Cli, *words: str, **env: str) -> tuple[int, str, str]:
    process = start(cli, *words, **env)
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr


def test_it_says_what_is_missing_and_asks_the_rehearsal_engine(cli: Cli, free_port: int) -> None:
    code, said, _ = serve(cli, STEPAUDIO_PORT=str(free_port), STEPAUDIO_API_KEY="sk-a-key")
    assert code == 0
    assert "no Docker" in said
    assert "made is ready" in said
    assert f"http://127.0.0.1:{free_port}/v1" in said
    assert "Clip 1: 2.88 s" in said


def test_its_settings_are_flags_environment_and_file_and_it_joins_what_runs(cli: Cli, free_port: int) -> None:
    (cli.folder / "stepaudio.yaml").write_text("served_model_name: ears\nport: 1\n")
    assert serve(cli, "--port", str(free_port))[0] == 0
    (deployment,) = cli("status", "made", "--json", env=QUICK).json["deployments"]
    assert (deployment["model"], deployment["endpoint"]) == ("ears", f"http://127.0.0.1:{free_port}")
    assert "made already runs" in serve(cli, "--port", str(free_port))[1]


def test_wrong_settings_are_told_in_words(cli: Cli) -> None:
    code, said, why = serve(cli, STEPAUDIO_PORT="abc")
    assert (code, said) == (2, "")
    assert "STEPAUDIO_PORT" in why
    assert "Traceback" not in why


def test_sigterm_ends_it_as_ctrl_c_does(cli: Cli, free_port: int) -> None:
    process = start(cli, "--port", str(free_port), STEPAUDIO_REHEARSAL_LOAD_SECONDS="60")
    assert process.stderr is not None
    for line in process.stderr:
        if "starting vLLM" in line:
            break
    process.send_signal(signal.SIGTERM)
    _, why = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in why
    assert cli("status", "made", env=QUICK).code == 3  # nothing is left of it
