"""A deployment that was handed over comes back with the daemon; one that was not, does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from own_engine import clear
from rehearsed import eventually

if TYPE_CHECKING:
    from own_engine import OwnEngine
    from rehearsed import Rehearsed


def test_it_serves_again_after_the_daemon_restarted(rehearsed: Rehearsed, second_engine: OwnEngine) -> None:
    with second_engine.running() as client:
        before = rehearsed.on(client, second_engine.host)
        assert before.up().code == 0
        container = before.container["Id"]

    with second_engine.running() as client:
        after = rehearsed.on(client, second_engine.host)
        eventually(lambda: after.status()["health"] == "healthy", "the endpoint to answer again")
        assert after.container["Id"] == container
        again = after.up("--json")
        assert (again.code, again.json["already_running"]) == (0, True)
        clear(client)


def test_a_start_that_was_not_finished_stays_down(rehearsed: Rehearsed, second_engine: OwnEngine) -> None:
    with second_engine.running() as client:
        before = rehearsed.on(client, second_engine.host)
        assert before.up("--no-wait", env={"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "12"}).code == 0
        eventually(lambda: before.phase() == "loading", "the engine to load")

    with second_engine.running() as client:
        after = rehearsed.on(client, second_engine.host)
        assert after.status()["phase"] == "failed"
        assert after.up().code == 0
        clear(client)


def test_the_daemon_goes_away_during_a_start(rehearsed: Rehearsed, second_engine: OwnEngine) -> None:
    with second_engine.running() as client:
        here = rehearsed.on(client, second_engine.host)
        starting = here.start(env={"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "12"})
        eventually(lambda: here.phase() == "loading", "the engine to load")

    _, words = starting.communicate(timeout=60)
    assert starting.returncode == 3
    assert "no container engine answers" in words
    assert "Traceback" not in words
    with second_engine.running() as client:
        clear(client)
