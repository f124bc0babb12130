"""Ctrl-C, and its kin, at every moment of `up`: nothing is asked, what was created is gone, exit code 130."""

from __future__ import annotations

import os
import re
import signal
import threading
import urllib.request
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess

    from rehearsed import Rehearsed

SLOW = {"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "6"}
MOMENTS = {  # what `up` says when it has come so far
    "planned": r", plan [0-9a-f]{12}",
    "starting": "starting vLLM",
    "loading": "loading weights",
    "capturing": "capturing CUDA graphs",
}
INTERRUPTED = {130, -signal.SIGINT}  # while Python starts, it dies of the signal itself; a shell calls that 130, too


def _interrupt(process: subprocess.Popen[str], number: int = signal.SIGINT) -> None:
    """As a terminal does it: the whole process group."""
    os.killpg(process.pid, number)


def _read_until(process: subprocess.Popen[str], said: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if re.search(said, line):
            return
    raise AssertionError(f"`up` ended before it said {said!r}")


@pytest.mark.parametrize("milliseconds", [0, 30, 100, 200, 300, 400, 500, 700, 1000])
def test_at_any_time(rehearsed: Rehearsed, milliseconds: int) -> None:
    up = rehearsed.start(env=SLOW)
    threading.Event().wait(milliseconds / 1000)
    _interrupt(up)

    _, words = up.communicate(timeout=60)
    assert up.returncode in INTERRUPTED
    assert rehearsed.leaves_nothing()
    assert "stepaudio_serve" not in words  # no line of a stack trace


@pytest.mark.parametrize("moment", MOMENTS)
def test_in_every_phase(rehearsed: Rehearsed, moment: str) -> None:
    up = rehearsed.start(env=SLOW if moment != "capturing" else {"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "3"})
    _read_until(up, MOMENTS[moment])
    _interrupt(up)

    assert up.wait(60) == 130
    assert rehearsed.leaves_nothing()


def test_while_the_canary_is_asked(rehearsed: Rehearsed) -> None:
    up = rehearsed.start(fail="hang")
    _read_until(up, "asking a spoken question")
    _interrupt(up)

    assert up.wait(60) == 130
    assert rehearsed.leaves_nothing()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_clean_up_as_well(rehearsed: Rehearsed, number: signal.Signals) -> None:
    up = rehearsed.start(env=SLOW)
    _read_until(up, MOMENTS["loading"])
    _interrupt(up, number)

    assert up.wait(60) == 130
    assert rehearsed.leaves_nothing()


def test_a_second_ctrl_c_does_not_stop_the_cleaning(rehearsed: Rehearsed) -> None:
    up = rehearsed.start(env=SLOW)
    _read_until(up, MOMENTS["loading"])
    for _ in range(5):
        _interrupt(up)
        threading.Event().wait(0.01)

    assert up.wait(60) == 130
    assert rehearsed.leaves_nothing()


def test_json_says_that_it_was_interrupted(rehearsed: Rehearsed) -> None:
    up = rehearsed.start("--json", env=SLOW)
    _read_until(up, MOMENTS["loading"])
    _interrupt(up)

    out, _ = up.communicate(timeout=60)
    assert '"code": "interrupted"' in out


# ---- what is not ours to remove


def test_one_who_only_waits_removes_nothing(rehearsed: Rehearsed) -> None:
    assert rehearsed.up("--no-wait", env=SLOW).code == 0
    second = rehearsed.start(env=SLOW)
    _read_until(second, "waiting for it")
    _interrupt(second)

    assert second.wait(60) == 130
    assert rehearsed.container["State"]["Running"]


# ---- attached


def test_attached_shows_the_log_and_stops_gracefully(rehearsed: Rehearsed) -> None:
    up = rehearsed.start("--attach")
    assert up.stdout is not None
    while "Application startup complete" not in up.stdout.readline():
        pass
    _read_until(up, "is ready")
    assert rehearsed.container["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    while "GET /version" not in up.stdout.readline():  # it goes on showing what the engine prints
        with urllib.request.urlopen(f"{rehearsed.endpoint}/version", timeout=10) as answer:
            assert answer.status == 200
    _interrupt(up)

    up.communicate(timeout=60)
    assert up.returncode == 130
    assert rehearsed.status()["phase"] == "stopped"
    assert "Shutting down" in rehearsed.cli("logs", rehearsed.name).stdout


def test_attached_and_not_ready_yet(rehearsed: Rehearsed) -> None:
    up = rehearsed.start("--attach", env=SLOW)
    assert up.stdout is not None
    while "Loading safetensors" not in up.stdout.readline():
        pass
    _interrupt(up)

    up.communicate(timeout=60)
    assert up.returncode == 130
    assert rehearsed.leaves_nothing()


def test_nothing_is_asked(rehearsed: Rehearsed) -> None:
    """Standard input is closed all along: a question would end with an error."""
    up = rehearsed.start(env=SLOW)
    _read_until(up, MOMENTS["starting"])
    _interrupt(up)
    _, words = up.communicate(timeout=60)
    assert words.splitlines()[-1] == "interrupted"
