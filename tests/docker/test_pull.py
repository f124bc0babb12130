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
