"""Results as files: written whole or not at all, never over another file without being told to."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def must_not_exist(path: Path, *, force: bool) -> None:
    """Raises `SettingsError` where a file would be written over without `force`, or its folder is not there."""
    if path.is_dir():
        raise SettingsError(f"{path} is a folder", fix=f"-o {shlex.quote(str(path / 'answer.md'))}")
    if path.exists() and not force:
        raise SettingsError(f"{path} exists", why="it is not written over unless told to", fix="--force")
    if not path.parent.is_dir():
        raise SettingsError(f"there is no folder {path.parent}", fix=f"mkdir -p {shlex.quote(str(path.parent))}")


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or, when the writing is interrupted, not at all."""
    part = path.with_name(f".{path.name[:100]}.{os.getpid()}.part")
    try:
        part.write_text(text, "utf-8")
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink()


def result_of(sound: Path, folder: Path, results: Path, ending: str) -> Path:
    """Where the result about a sound of a folder is: `a/talk.m4a` -> `RESULTS/a/talk.m4a.txt`."""
    inside = sound.relative_to(folder)
    return results / inside.with_name(inside.name + ending)


def files_below(folder: Path, *, without: Path) -> Iterator[Path]:
    """Every file in a folder and its folders, sorted; hidden ones and those below `without` are left out."""
    left_out = without.resolve()
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and left_out not in path.resolve().parents:
            yield path
