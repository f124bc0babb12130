"""Results as files: written whole or not at all, never over another file without being told to."""

from __future__ import annotations

import os
import secrets
import shlex
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SettingsError
from .characters import well_formed

if TYPE_CHECKING:
    from collections.abc import Iterator


LONGEST_NAME_BYTES = 255
"""Of a file, on every common file system."""


def must_not_exist(path: Path, *, force: bool) -> None:
    """Raises `SettingsError` where a file would be written over without `force`, or none can be written."""
    must_be_named(path)
    real = _real(path)
    if real.is_dir():
        raise SettingsError(f"{path} is a folder", fix=f"-o {shlex.quote(str(path / 'answer.md'))}")
    if real.exists() and not real.is_file():
        raise SettingsError(f"{path} is no regular file", why="a file would take its place", fix="-o FILE")
    if real.exists() and not force:
        raise SettingsError(f"{path} exists", why="it is not written over unless told to", fix="--force")
    if not real.parent.is_dir():
        raise SettingsError(f"there is no folder {path.parent}", fix=f"mkdir -p {shlex.quote(str(path.parent))}")
    tried = _beside(real)
    try:
        tried.touch(exist_ok=False)
        tried.unlink()
    except OSError as error:
        raise SettingsError(
            f"nothing can be written to {path.parent}",
            why=error.strerror or str(error),
            fix=f"ls -ld {shlex.quote(str(path.parent))}",
        ) from error


def must_be_named(path: Path) -> None:
    """Raises `SettingsError` where no file can be called so."""
    if len(os.fsencode(path.name)) > LONGEST_NAME_BYTES:
        raise SettingsError(
            f"the name {path.name[:20]}... is too long",
            why=f"a file's name has at most {LONGEST_NAME_BYTES} bytes",
            fix="a shorter name",
        )


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or, when the writing is interrupted, not at all; links are followed."""
    real = _real(path)
    part = _beside(real)
    try:
        part.write_text(well_formed(text), "utf-8")
        part.replace(real)
    finally:
        with suppress(OSError):
            part.unlink()


def partial_of(path: Path) -> Path:
    """Where a result that broke off is kept: `answer.md.partial`, `answer.md.partial2` where that is there."""
    names = (path.with_name(f"{path.name}.partial{number if number > 1 else ''}") for number in count(1))
    return next(name for name in names if not os.path.lexists(name))


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _beside(path: Path) -> Path:
    """A name that nothing has, short for whatever name the file has."""
    return path.with_name(f".{secrets.token_hex(8)}.part")


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
