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


def _in_pythons_own_start(words: str) -> bool:
    """Python ends with 1 and a traceback where it is still importing its own modules, before a line of ours."""
    return "KeyboardInterrupt" in words and "stepaudio_serve" not in words and "stepaudio-serve" not in words


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
    assert up.returncode in INTERRUPTED or _in_pythons_own_start(words)
    assert rehearsed.leaves_nothing()
    assert up.returncode < 0 or "Traceback" not in words


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
    assert rehearsed.container["HostConfig"]["RestartPolicy"]["Name"] == "no"  # its end is the log's end
    while "GET /version" not in up.stdout.readline():  # it goes on showing what the engine prints
        with urllib.request.urlopen(f"{rehearsed.endpoint}/version", timeout=10) as answer:
            assert answer.status == 200
    _interrupt(up)

    _, words = up.communicate(timeout=60)
    assert up.returncode == 130
    assert f"`stepaudio-serve down {rehearsed.name}` removes it" in words
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


def test_attaching_to_what_runs_only_follows(rehearsed: Rehearsed) -> None:
    assert rehearsed.up().code == 0
    second = rehearsed.start("--attach")
    _read_until(second, "already runs")
    _interrupt(second)

    _, words = second.communicate(timeout=60)
    assert second.returncode == 130
    assert "runs on" in words
    assert rehearsed.status()["health"] == "healthy"


def test_the_log_of_an_attached_engine_ends_with_it(rehearsed: Rehearsed) -> None:
    up = rehearsed.start("--attach")
    _read_until(up, "is ready")
    rehearsed.docker.containers.get(rehearsed.name).exec_run(["sh", "-c", "kill -TERM 1"])

    _, words = up.communicate(timeout=60)
    assert up.returncode == 7
    assert "the engine has ended (exit code 0)" in words
    assert rehearsed.container["State"]["Status"] == "exited"


# ---- nobody reads


def test_a_reader_that_leaves_before_the_hand_off_is_an_interruption(rehearsed: Rehearsed) -> None:
    """As `up 2>&1 | head` does it."""
    up = rehearsed.start(env=SLOW)
    _read_until(up, MOMENTS["starting"])
    assert up.stderr is not None
    up.stderr.close()

    assert up.wait(60) != 0
    assert rehearsed.leaves_nothing()


def test_ctrl_c_cleans_up_when_nobody_reads(rehearsed: Rehearsed) -> None:
    """As `up 2>&1 | tee log` meets it: Ctrl-C ends the reader too."""
    up = rehearsed.start(env=SLOW)
    _read_until(up, MOMENTS["starting"])
    assert up.stderr is not None
    up.stderr.close()
    _interrupt(up)

    assert up.wait(60) != 0
    assert rehearsed.leaves_nothing()


def test_nothing_is_asked(rehearsed: Rehearsed) -> None:
    """Standard input is closed all along: a question would end with an error."""
    up = rehearsed.start(env=SLOW)
    _read_until(up, MOMENTS["starting"])
    _interrupt(up)
    _, words = up.communicate(timeout=60)
    assert words.splitlines()[-1] == "interrupted"
