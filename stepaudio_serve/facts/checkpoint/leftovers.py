"""What downloads leave when they are broken off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .checkpoint import Fault
from .sizes import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_IN_THE_FOLDER = ("*.part", "*.crdownload", "*.incomplete")
_CONTROL_FILES = "*.safetensors.aria2"
_OF_A_LOCAL_DIR = ".cache/huggingface/download"


def unfinished_beside(folder: Path) -> tuple[Fault, ...]:
    """Files that are there in full size and not in content: aria2 keeps a control file beside them until they are."""
    return tuple(
        Fault("unfinished", path.name, "aria2 has not finished the file") for path in _in(folder, _CONTROL_FILES)
    )


def unfinished_downloads(folder: Path, blobs: Path | None) -> tuple[Fault, ...]:
    """Parts of files: beside them, where `hf download --local-dir` keeps them, and among the Hub cache's blobs.

    Whether they matter is for the caller to say: one that was begun anew leaves its first part for ever.
    """
    parts = [path for pattern in _IN_THE_FOLDER for path in _in(folder, pattern)]
    parts += _in(folder / _OF_A_LOCAL_DIR, "**/*.incomplete")
    parts += _in(blobs, "*.incomplete") if blobs else ()
    return tuple(Fault("unfinished", path.name, _so_far(path)) for path in parts)


def _in(folder: Path, pattern: str) -> Iterator[Path]:
    yield from sorted(path for path in folder.glob(pattern) if path.is_file())


def _so_far(path: Path) -> str:
    try:
        return f"{in_words(path.stat().st_size)} so far"
    except OSError:  # finished meanwhile
        return ""
