"""Whatever an error, a finding or a page tells the reader to type exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stepaudio_serve.cli.main import SECTIONS

ROOT = Path(__file__).parents[2]
COMMANDS = {name for section in SECTIONS.values() for name in section}
SOURCES = [
    path
    for folder, pattern in (("stepaudio_serve", "*.py"), ("stepaudio_serve", "*.yaml"), ("docs", "*.md"), (".", "*.md"))
    for path in (ROOT.glob(pattern) if folder == "." else (ROOT / folder).rglob(pattern))
]
HINT = re.compile(r"(?:`|\"|'|^\s*|\$ |bin/)stepaudio-serve ([a-z]+)", re.MULTILINE)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_is_named_exists(path: Path) -> None:
    named = set(HINT.findall(path.read_text("utf-8")))
    assert named <= COMMANDS
