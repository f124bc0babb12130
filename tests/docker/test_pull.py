"""An image that is not here is fetched from its registry, with progress."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rehearsed import Rehearsed


@pytest.fixture
def published(rehearsed: Rehearsed, rehearsal_image: str, registry: str) -> Iterator[str]:
    """The rehearsal image's reference in a registry; the engine does not have it under this name."""
    repository, tag = f"{registry}/stepaudio-serve/rehearsal", "0.1.0"
    rehearsed.docker.images.get(rehearsal_image).tag(repository, tag)
    for event in rehearsed.docker.api.push(repository, tag, stream=True, decode=True):
        assert "error" not in event, event
    rehearsed.docker.images.remove(f"{repository}:{tag}")
    yield f"{repository}:{tag}"
    for container in rehearsed.docker.containers.list(all=True, filters={"name": f"^/{rehearsed.name}$"}):
        container.remove(force=True)
    if rehearsed.docker.images.list(name=f"{repository}:{tag}"):
        rehearsed.docker.images.remove(f"{repository}:{tag}")


def test_pulled_with_progress(rehearsed: Rehearsed, published: str) -> None:
    interrupted = rehearsed.start("--image", published)
    assert interrupted.stderr is not None
    while f"pulling {published}" not in interrupted.stderr.readline():
        pass
    os.killpg(interrupted.pid, signal.SIGINT)
    assert interrupted.wait(60) == 130
    assert rehearsed.leaves_nothing()
    if rehearsed.docker.images.list(name=published):  # the pull was faster than the interruption
        rehearsed.docker.images.remove(published)

    up = rehearsed.up("--image", published)
    assert up.code == 0, up.stderr
    assert f"pulling {published}" in up.stderr
    assert f"pulled {published}" in up.stderr
    assert rehearsed.container["Config"]["Image"] == published


def test_pull_alone_and_again(rehearsed: Rehearsed, published: str) -> None:
    words = ("pull", "--engine", "rehearsal", "--image", published, "--json")
    first = rehearsed.cli(*words)
    assert first.code == 0, first.stderr
    assert f"image {published}: " in first.stderr
    assert "MB to fetch" in first.stderr
    assert first.json["image"]["pulled"]
    assert first.json["checkpoint"] is None
    again = rehearsed.cli(*words)
    assert again.code == 0
    assert not again.json["image"]["pulled"]
    assert again.json["image"]["id"] == first.json["image"]["id"]
    assert rehearsed.leaves_nothing()


def test_an_image_that_is_not_there(rehearsed: Rehearsed, registry: str) -> None:
    done = rehearsed.cli("pull", "--image-only", "--image", f"{registry}/nobody/here:1", "--json")
    assert done.code == 3
    assert "does not tell us its size" in done.stderr
    assert "nobody/here:1" in done.json["error"]["what"]
