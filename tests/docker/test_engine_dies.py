"""An engine that dies after it was handed over is started again, also when it ends with exit code 0."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from rehearsed import eventually

if TYPE_CHECKING:
    from rehearsed import Rehearsed
    from support.cli import Cli

END_INSIDE = "kill -TERM 1"


def _restarted(rehearsed: Rehearsed) -> bool:
    return bool(rehearsed.container["RestartCount"]) and rehearsed.status()["health"] == "healthy"


def test_killed(rehearsed: Rehearsed) -> None:
    assert rehearsed.up().code == 0
    before = rehearsed.container
    os.kill(int(before["State"]["Pid"]), signal.SIGKILL)  # the kernel's way; `docker kill` would keep it down

    eventually(lambda: _restarted(rehearsed), "the engine to serve again")
    assert rehearsed.container["Id"] == before["Id"]


def test_ended_with_exit_code_0(rehearsed: Rehearsed, run_cli: Cli) -> None:
    assert rehearsed.up().code == 0
    rehearsed.docker.containers.get(rehearsed.name).exec_run(["sh", "-c", END_INSIDE])

    eventually(lambda: _restarted(rehearsed), "the engine to serve again")
    assert "Shutting down" in run_cli("logs", rehearsed.name).stdout


@pytest.mark.parametrize("restart", ["no", "on-failure"])
def test_the_restart_setting_is_kept(rehearsed: Rehearsed, restart: str) -> None:
    assert rehearsed.up("--restart", restart).code == 0
    rehearsed.docker.containers.get(rehearsed.name).exec_run(["sh", "-c", END_INSIDE])

    ended = eventually(lambda: (seen := rehearsed.status())["phase"] == "stopped" and seen, "the engine to end")
    assert ended["health"] == "none"
    assert rehearsed.container["RestartCount"] == 0


def test_an_engine_core_that_died_is_seen(rehearsed: Rehearsed, run_cli: Cli) -> None:
    up = rehearsed.up("--restart", "no", env={"STEPAUDIO_REHEARSAL_FAIL_SECONDS": "2"}, fail="health-503")
    assert up.code == 0, up.stderr
    eventually(lambda: rehearsed.status()["health"] == "unhealthy", "the health to fail")

    assert run_cli("status", rehearsed.name).code == 7
    assert run_cli("wait", rehearsed.name).code == 7
