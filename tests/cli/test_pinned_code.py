"""`up --trust-remote-code pinned`: the first start records the checkpoint's code, a later one refuses what changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from support.checkpoints import fabricate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.cli import Cli, Outcome


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fabricate(tmp_path / "r1", "tiny")


@pytest.fixture
def up(run_cli: Cli, folder: Path, tmp_path: Path, free_port: int) -> Callable[[], Outcome]:
    """Start a program called vllm that serves nothing, without waiting for it, and end it again."""
    program = tmp_path / "bin" / "vllm"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    env = {"DOCKER_HOST": "unix:///nonexistent", "PATH": f"{program.parent}:{os.environ['PATH']}"}
    words = ("--runtime", "process", "--gpus", "none", "--model", folder, "--port", str(free_port))
    sizes = ("--max-model-len", "4096", "--stop-grace", "0")

    def run() -> Outcome:
        done = run_cli("up", *words, *sizes, "--trust-remote-code", "pinned", "--no-wait", env=env)
        run_cli("down", env=env)
        return done

    return run


def test_the_first_start_records_and_the_same_code_starts_again(up: Callable[[], Outcome]) -> None:
    first, again = up(), up()
    assert (first.code, again.code) == (0, 0), first.stderr
    assert "recorded" in first.stderr
    assert ".py" in first.stderr
    assert "recorded" not in again.stderr


def test_a_changed_file_is_refused_until_its_record_is_removed(up: Callable[[], Outcome], folder: Path) -> None:
    assert up().code == 0
    changed = sorted(folder.glob("*.py"))[0]
    changed.write_text(changed.read_text() + "import os\n")
    refused = up()
    assert refused.code == 3
    assert changed.name in refused.stderr
    assert "rm " in refused.stderr
