"""`--profile model-card` is the model card's command, argument for argument, as a real shell reads both."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.cli import Cli

CARD = Path(__file__).with_name("model_card_command.sh")  # as published
STUB = "docker() { printf '%s\\0' \"$@\"; }\n"


def arguments(script: str, folder: Path) -> list[str]:
    """What `docker` is called with when bash runs the script in this folder."""
    done = subprocess.run(["bash", "-c", STUB + script], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.split("\0")[:-1]


def test_render_run_is_the_model_cards_command(run_cli: Cli) -> None:
    rendered = run_cli("render", "run", "--profile", "model-card", env={"DOCKER_HOST": "unix:///nonexistent"})
    assert rendered.code == 0
    published = arguments(CARD.read_text("utf-8"), run_cli.folder)
    assert len(published) == 26
    assert arguments(rendered.stdout, run_cli.folder) == published


def test_another_folder_and_port_change_nothing_else(run_cli: Cli) -> None:
    words = ("--profile", "model-card", "--model", "/models/r1", "--port", "8080")
    rendered = run_cli("render", "run", *words, env={"DOCKER_HOST": "unix:///nonexistent"})
    published = arguments(CARD.read_text("utf-8"), run_cli.folder)
    changes = [
        pair for pair in zip(published, arguments(rendered.stdout, run_cli.folder), strict=True) if pair[0] != pair[1]
    ]
    assert changes == [
        (f"{run_cli.folder}/Step-Audio-R1:/Step-Audio-R1", "/models/r1:/Step-Audio-R1"),
        ("9999:9999", "8080:9999"),
    ]
