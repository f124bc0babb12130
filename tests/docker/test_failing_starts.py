"""An engine that does not become ready: it is stopped for good, kept with its log, and explained."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from rehearsed import eventually

if TYPE_CHECKING:
    from rehearsed import Rehearsed
    from support.cli import Cli


def _stays_stopped(rehearsed: Rehearsed) -> bool:
    """Whether the container rests: asked twice, with more time between than Docker takes to restart one."""
    first = rehearsed.container
    time.sleep(1)
    again = rehearsed.container
    assert first["HostConfig"]["RestartPolicy"]["Name"] == "no"
    return again["State"] == first["State"] and again["State"]["Status"] == "exited" and again["RestartCount"] == 0


@pytest.mark.parametrize(
    ("failure", "exit_code", "evidence"),
    [
        ("exit-at-once", 1, ""),
        ("truncated-shard", 1, "incomplete metadata"),
        ("kv-cache-too-small", 1, "estimated maximum model length is 9856"),
        ("exit-137", 137, ""),
        ("port-in-use-inside", 1, "address already in use"),
    ],
)
def test_a_start_that_fails(rehearsed: Rehearsed, failure: str, exit_code: int, evidence: str) -> None:
    up = rehearsed.up("--json", fail=failure)

    assert up.code == 4
    assert up.json["error"]["code"] == "engine-failed"
    assert up.json["exit_code"] == exit_code
    assert up.json["error"]["fix"]
    assert not evidence or evidence in up.json["diagnoses"][0]["evidence"]["text"]
    assert _stays_stopped(rehearsed)
    assert rehearsed.container["State"]["ExitCode"] == exit_code


def test_what_a_failed_start_leaves_can_be_asked_and_replaced(rehearsed: Rehearsed, run_cli: Cli) -> None:
    up = rehearsed.up("--json", fail="kv-cache-too-small")
    failed = rehearsed.container["Id"]
    cause = up.json["diagnoses"][0]["cause"]
    assert "9856" in up.json["error"]["fix"]

    status = rehearsed.status()
    assert (status["phase"], status["health"], status["exit_code"]) == ("failed", "none", 1)
    assert status["diagnosis"]["cause"] == cause
    shown = run_cli("status", rehearsed.name)
    assert shown.code == 0
    assert cause in shown.stdout
    assert "estimated maximum model length is 9856" in run_cli("logs", rehearsed.name).stdout
    assert run_cli("wait", rehearsed.name).code == 4

    again = rehearsed.up()
    assert again.code == 0, again.stderr
    assert rehearsed.container["Id"] != failed


def test_down_removes_a_failed_start(rehearsed: Rehearsed, run_cli: Cli) -> None:
    assert rehearsed.up(fail="exit-at-once").code == 4
    assert run_cli("down", rehearsed.name).code == 0
    assert rehearsed.leaves_nothing()


def test_an_engine_killed_while_it_loads(rehearsed: Rehearsed) -> None:
    starting = rehearsed.start(env={"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "12"})
    eventually(lambda: rehearsed.phase() == "loading", "the engine to load")
    rehearsed.docker.api.kill(rehearsed.name)

    _, words = starting.communicate(timeout=60)
    assert starting.returncode == 4
    assert "137" in words
    assert _stays_stopped(rehearsed)


def test_an_engine_that_dies_of_the_canary(rehearsed: Rehearsed) -> None:
    up = rehearsed.up("--json", fail="engine-dead-at-request")

    assert up.code == 4
    assert "device-side assert" in str(up.json["diagnoses"])
    assert _stays_stopped(rehearsed)
    assert rehearsed.container["State"]["ExitCode"] == 0


# ---- no end, and no beginning either


def test_a_stall(rehearsed: Rehearsed) -> None:
    up = rehearsed.up("--stall-timeout", "3", "--json", fail="stall-while-loading")

    assert (up.code, up.json["error"]["code"]) == (5, "timed-out")
    assert "weights" in up.json["error"]["what"]
    assert _stays_stopped(rehearsed)


def test_not_ready_in_time(rehearsed: Rehearsed) -> None:
    up = rehearsed.up("--ready-timeout", "2", env={"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "600"})

    assert up.code == 5
    assert f"up --engine rehearsal --name {rehearsed.name} " in up.stderr
    assert "--ready-timeout 4" in up.stderr
    assert _stays_stopped(rehearsed)


# ---- it starts, and does not hear


def test_garbage_is_a_warning(rehearsed: Rehearsed) -> None:
    up = rehearsed.up("--json", fail="garbage-answer")

    assert (up.code, up.json["phase"], up.json["canary"]["heard"]) == (0, "ready", False)
    assert up.json["canary"]["answer"]


def test_garbage_is_an_error_to_a_strict_canary(rehearsed: Rehearsed) -> None:
    up = rehearsed.up("--canary", "strict", "--json", fail="garbage-answer")

    assert (up.code, up.json["error"]["code"]) == (7, "unhealthy")
    assert f"stepaudio-serve down {rehearsed.name}" in up.json["error"]["fix"]
    assert rehearsed.container["State"]["Running"]


@pytest.mark.parametrize(("failure", "canary"), [("garbage-answer", "strict"), ("no-template", "lenient")])
def test_what_did_not_hear_is_not_handed_over_later(
    rehearsed: Rehearsed, run_cli: Cli, failure: str, canary: str
) -> None:
    assert rehearsed.up("--canary", canary, fail=failure).code == 7

    assert rehearsed.container["HostConfig"]["RestartPolicy"]["Name"] == "no"
    seen = rehearsed.status()
    assert seen["health"] == "healthy"
    assert seen["detail"].startswith("not handed over")
    assert run_cli("wait", rehearsed.name).code == 7
    assert rehearsed.up("--canary", canary, fail=failure).code == 7


def test_what_was_taken_down_meanwhile_is_no_failure(rehearsed: Rehearsed, run_cli: Cli) -> None:
    starting = rehearsed.start(env={"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "12"})
    eventually(lambda: rehearsed.phase() == "loading", "the engine to load")
    assert run_cli("down", rehearsed.name).code == 0

    _, words = starting.communicate(timeout=60)
    assert starting.returncode == 6
    assert "was taken down meanwhile" in words


def test_no_canary_is_asked_when_it_is_off(rehearsed: Rehearsed) -> None:
    up = rehearsed.up("--canary", "off", "--json", fail="garbage-answer")

    assert up.code == 0
    assert up.json["canary"]["asked"] is None
    assert up.json["seconds"]["canary"] is None
