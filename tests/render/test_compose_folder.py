"""compose/ in the repository is what `render compose` writes today, on a machine that has nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.cli import Cli

COMPOSE = Path(__file__).parents[2] / "compose"


def contents(folder: Path) -> dict[str, str]:
    kept = (path for path in folder.rglob("*") if path.is_file() and path.name != ".env")
    return {str(path.relative_to(folder)): path.read_text("utf-8") for path in kept}


def test_the_folder_is_what_render_compose_writes(run_cli: Cli) -> None:
    (run_cli.folder / "no-gpu.json").write_text('{"gpus": [], "architecture": "amd64"}')
    done = run_cli("render", "compose", "--facts", "no-gpu.json", "-o", "compose")
    assert done.code == 0
    assert contents(run_cli.folder / "compose") == contents(COMPOSE), "write it anew: make compose"
