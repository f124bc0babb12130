"""`doctor` beside a real Docker Engine: what it says of the engine, the port and the name."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rehearsed import Rehearsed
    from support.cli import Outcome


def doctor(rehearsed: Rehearsed, *more: str, name: str = "") -> Outcome:
    words = ("--engine", "rehearsal", "--name", name or rehearsed.name, "--port", str(rehearsed.port))
    return rehearsed.cli("doctor", "--json", *words, *more)


def finding(outcome: Outcome, identity: str) -> dict[str, Any]:
    (one,) = [item for item in outcome.json["findings"] if item["id"] == identity]
    return dict(one)


def test_a_healthy_engine_is_ready(rehearsed: Rehearsed) -> None:
    seen = doctor(rehearsed)
    assert seen.code == 0
    assert seen.json["ok"] is True
    assert rehearsed.docker.version()["Version"] in finding(seen, "engine")["what"]
    assert finding(seen, "port")["level"] == "ok"
    assert rehearsed.leaves_nothing()


def test_our_own_running_deployment_is_no_obstacle(rehearsed: Rehearsed) -> None:
    assert rehearsed.up().code == 0
    same = doctor(rehearsed)
    assert same.code == 0
    assert finding(same, "port")["level"] == "ok"
    other = doctor(rehearsed, "--max-num-seqs", "4")
    assert other.code == 0
    assert finding(other, "deployment")["level"] == "note"
    assert "--replace" in finding(other, "deployment")["fix"]


def test_a_port_held_by_another_deployment_of_ours_names_it(rehearsed: Rehearsed) -> None:
    assert rehearsed.up("--no-wait").code == 0
    seen = doctor(rehearsed, name=f"{rehearsed.name}-2")
    assert seen.code == 3
    what = finding(seen, "port-taken")["what"]
    assert f"the container `{rehearsed.name}`, a deployment of yours" in what


def test_a_port_held_by_a_foreign_container_names_it(rehearsed: Rehearsed, rehearsal_image: str) -> None:
    rehearsed.docker.containers.run(
        rehearsal_image,
        entrypoint="sleep",
        command=["600"],
        name=f"{rehearsed.name}-other",
        ports={"80/tcp": ("127.0.0.1", rehearsed.port)},
        detach=True,
    )
    what = finding(doctor(rehearsed), "port-taken")["what"]
    assert f"the container `{rehearsed.name}-other`" in what
    assert "yours" not in what


def test_a_port_held_by_a_process_names_it(rehearsed: Rehearsed) -> None:
    with socket.create_server(("127.0.0.1", rehearsed.port)):
        seen = doctor(rehearsed)
    assert seen.code == 3
    assert "pid " in finding(seen, "port-taken")["what"]


def test_a_name_that_a_foreign_container_has_is_refused(rehearsed: Rehearsed, rehearsal_image: str) -> None:
    rehearsed.docker.containers.run(
        rehearsal_image, entrypoint="sleep", command=["600"], name=rehearsed.name, detach=True
    )
    seen = doctor(rehearsed)
    assert seen.code == 3
    assert finding(seen, "name-taken")["level"] == "blocker"
