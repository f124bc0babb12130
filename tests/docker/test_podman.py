"""The docker runtime against Podman's Docker-compatible socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import docker
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rehearsed import Rehearsed


@pytest.fixture
def in_podman(rehearsed: Rehearsed, podman_socket: str) -> Iterator[Rehearsed]:
    client = docker.DockerClient(podman_socket, timeout=120)
    yield rehearsed.on(client, podman_socket)
    for container in client.containers.list(all=True, filters={"name": rehearsed.name}, ignore_removed=True):
        container.remove(force=True)
    client.close()


def test_the_life_of_a_deployment(in_podman: Rehearsed) -> None:
    up = in_podman.up("--json")
    assert (up.code, up.json["phase"]) == (0, "ready"), up.stderr
    assert up.json["canary"]["heard"] is True
    assert in_podman.container["Id"] == up.json["container_id"]

    again = in_podman.up("--json")
    assert (again.code, again.json["already_running"]) == (0, True)
    assert in_podman.status()["health"] == "healthy"
    assert "Application startup complete" in in_podman.cli("logs", in_podman.name).stdout
    assert in_podman.cli("wait", in_podman.name).code == 0
    assert in_podman.cli("down", in_podman.name).code == 0
    assert in_podman.leaves_nothing()


def test_a_start_that_fails(in_podman: Rehearsed) -> None:
    up = in_podman.up("--json", fail="kv-cache-too-small")

    assert up.code == 4, up.stderr
    assert "9856" in up.json["error"]["fix"]
    assert in_podman.status()["phase"] == "failed"
    assert in_podman.cli("down", in_podman.name).code == 0
