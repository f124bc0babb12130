"""What stops a start before anything of ours exists: the port, the image, the name."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker.models.containers import Container
    from rehearsed import Rehearsed
    from support.cli import Cli

NO_SUCH_IMAGE = "stepaudio-serve/rehearsal:there-is-no-such-tag"


@pytest.fixture
def foreign(rehearsed: Rehearsed, rehearsal_image: str) -> Iterator[Container]:
    """A container that somebody else runs under our name."""
    container = rehearsed.docker.containers.run(
        rehearsal_image, entrypoint="sleep", command=["600"], name=rehearsed.name, detach=True
    )
    yield container
    container.remove(force=True)


# ---- the port


def test_a_port_held_by_a_process(rehearsed: Rehearsed) -> None:
    with socket.create_server(("127.0.0.1", rehearsed.port)):
        up = rehearsed.up("--json")

    assert up.code == 3
    assert f"port {rehearsed.port} is held by the process" in up.json["error"]["what"]
    assert "pid " in up.json["error"]["what"]
    assert up.json["error"]["fix"].startswith("--port ")
    assert rehearsed.leaves_nothing()


def test_a_port_held_by_a_foreign_container(rehearsed: Rehearsed, rehearsal_image: str) -> None:
    other = rehearsed.docker.containers.run(
        rehearsal_image,
        entrypoint="sleep",
        command=["600"],
        name=f"{rehearsed.name}-other",
        ports={"80/tcp": ("127.0.0.1", rehearsed.port)},
        detach=True,
    )
    up = rehearsed.up("--json")

    assert up.code == 3
    assert f"is held by the container `{other.name}`" in up.json["error"]["what"]
    assert rehearsed.leaves_nothing()


def test_a_port_held_by_another_deployment_of_ours(rehearsed: Rehearsed, run_cli: Cli) -> None:
    assert rehearsed.up("--no-wait").code == 0
    name = f"{rehearsed.name}-2"
    up = run_cli("up", "--engine", "rehearsal", "--name", name, "--port", str(rehearsed.port))

    assert up.code == 3
    assert f"the container `{rehearsed.name}`" in up.stderr
    assert run_cli("status", name).code == 6
    assert rehearsed.container["State"]["Running"]


# ---- the image


def test_the_rehearsal_image_is_not_here(rehearsed: Rehearsed) -> None:
    up = rehearsed.up("--image", NO_SUCH_IMAGE, "--json")

    assert up.code == 3
    assert NO_SUCH_IMAGE in up.json["error"]["what"]
    assert "make rehearsal-image" in up.json["error"]["fix"]
    assert rehearsed.leaves_nothing()


def test_a_registry_that_does_not_answer(rehearsed: Rehearsed) -> None:
    image = f"127.0.0.1:{rehearsed.port}/nobody/here:1"
    up = rehearsed.up("--image", image, "--json")

    assert up.code == 3
    assert image in up.json["error"]["what"]
    assert "connection was refused" in up.json["error"]["why"]
    assert rehearsed.leaves_nothing()


def test_an_image_that_is_no_engine(rehearsed: Rehearsed, rehearsal_image: str, as_vllm: tuple[str, ...]) -> None:
    base = "stepaudio-testbed/python:3.11"
    if not rehearsed.docker.images.list(name=base):
        pytest.skip(f"no image {base}")
    up = rehearsed.up(*as_vllm, "--gpus", "none", "--image", base)

    assert up.code == 3
    assert "`vllm`" in up.stderr
    assert rehearsed.leaves_nothing()


# ---- the name


def test_a_name_taken_by_a_foreign_container(rehearsed: Rehearsed, run_cli: Cli, foreign: Container) -> None:
    began = rehearsed.container["State"]["StartedAt"]

    up = rehearsed.up("--json")
    assert (up.code, up.json["error"]["code"]) == (3, "refused")
    assert rehearsed.name in up.json["error"]["what"]
    assert rehearsed.up("--replace").code == 3
    assert rehearsed.up("--dry-run").code == 3
    for command in ("down", "restart", "logs", "status", "wait"):
        outcome = run_cli(command, rehearsed.name)
        assert (command, outcome.code) == (command, 6)
        assert "was not started by stepaudio-serve" in outcome.stderr

    assert rehearsed.container["Id"] == foreign.id
    assert rehearsed.container["State"]["StartedAt"] == began
    assert rehearsed.container["State"]["Running"]
    assert rehearsed.files() == []


def test_a_name_taken_in_the_other_runtime(rehearsed: Rehearsed, run_cli: Cli) -> None:
    assert rehearsed.up().code == 0
    twin = ("up", "--engine", "rehearsal", "--runtime", "process", "--name", rehearsed.name, "--port")
    up = run_cli(*twin, str(rehearsed.port + 1), "--json")

    assert up.code == 3
    assert "in the docker runtime" in up.json["error"]["what"]
    assert run_cli("down", rehearsed.name).code == 0
    assert run_cli(*twin, str(rehearsed.port), env={"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "0"}).code == 0
    again = rehearsed.up("--json")
    assert again.code == 3
    assert "in the process runtime" in again.json["error"]["what"]
    assert run_cli("down", rehearsed.name).code == 0
