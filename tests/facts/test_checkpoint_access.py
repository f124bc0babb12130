"""A checkpoint that this user may not read is there, and is said to be so."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.checkpoints import fabricate
from support.facts import facts
from support.findings import blocker

from stepaudio_serve.facts.checkpoint import find_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """Below a folder that every user may enter, as pytest's own are not."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    yield fabricate(place / "r1")
    (place / "r1").chmod(0o755)
    shutil.rmtree(place)


@contextmanager
def as_a_plain_user() -> Iterator[None]:
    """Root may read everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("forbidden", [".", "config.json", "model-00001-of-00002.safetensors"])
@pytest.mark.parametrize("as_repository", [False, True])
def test_what_may_not_be_read_is_a_finding(folder: Path, forbidden: str, as_repository: bool) -> None:
    if forbidden.endswith(".safetensors"):
        forbidden = sorted(folder.glob("*.safetensors"))[0].name
    (folder / forbidden).chmod(0)
    with as_a_plain_user():
        model = "org/r1" if as_repository else str(folder)
        found = find_checkpoint(model, models_dir=folder.parent, hub_cache=folder.parent / "hub")
    finding = blocker(facts(31.36, checkpoint=found))
    assert finding.id == "checkpoint-unreadable"
    assert "may not be read" in finding.what
    assert (str(folder) if forbidden == "." else forbidden) in finding.what
    assert "chmod -R u+rX" in finding.fix


def test_a_cache_that_may_not_be_read_is_not_an_absent_checkpoint(folder: Path) -> None:
    cached = folder / "models--org--other"
    cached.mkdir()
    cached.chmod(0)
    with as_a_plain_user():
        found = find_checkpoint("org/other", models_dir=folder / "absent", hub_cache=folder)
    assert found.exists
    assert found.problem == "may not be read by this user"
