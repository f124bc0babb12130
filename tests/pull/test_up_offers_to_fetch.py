"""`up` without a terminal does not fetch a checkpoint by itself, and says how it would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.cli import Cli


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_what_is_not_here_can_be_fetched_by_pull_or_by_up(run_cli: Cli, more: tuple[str, ...]) -> None:
    words = ("up", "--runtime", "process", "--model", "Firworks/Step-Audio-R1-nvfp4", *more)
    done = run_cli(*words, env={"HF_HUB_OFFLINE": "1"})
    assert done.code == 3
    assert "(22.1 GB) is not on this disk" in done.stderr
    assert "stepaudio-serve pull --model Firworks/Step-Audio-R1-nvfp4   (or `up --yes`" in done.stderr


def test_a_folder_that_is_not_there_is_nothing_to_fetch(run_cli: Cli) -> None:
    done = run_cli("up", "--runtime", "process", "--model", "./nowhere")
    assert done.code == 3
    assert "up --yes" not in done.stderr
