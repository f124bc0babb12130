"""Whether this user may read a checkpoint at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .checkpoint import Fault

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "."
"""The name that the folder itself has in a fault."""
_SERVED = (".json", ".safetensors", ".py", ".txt", ".model")


def forbidden(folder: Path) -> tuple[Fault, ...]:
    """The folder, or those of its files that serving needs, where this user may not read them.

    A link to nothing is no matter of permissions, and is left to the look that follows.
    """
    try:
        entries = sorted(
            (entry for entry in os.scandir(folder) if entry.name.endswith(_SERVED)), key=lambda it: it.name
        )
    except PermissionError as error:
        return (Fault("unreadable", FOLDER, error.strerror or ""),)
    return tuple(Fault("unreadable", entry.name) for entry in entries if not _readable(entry))


def _readable(entry: os.DirEntry[str]) -> bool:
    try:
        entry.stat()
    except PermissionError:
        return False
    except OSError:
        return True
    return os.access(entry.path, os.R_OK, effective_ids=os.access in os.supports_effective_ids)
