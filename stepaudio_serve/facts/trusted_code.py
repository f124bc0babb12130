"""The hashes recorded for the code files of a checkpoint, with which `trust_remote_code: pinned` compares.

One JSON document for each checkpoint below the state folder, as ssh keeps its known hosts: removing it forgets.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .checkpoint import Checkpoint

FOLDER = "trusted-code"


def record_path(state: Path, checkpoint: Checkpoint) -> Path:
    """Where the record of this checkpoint is or would be: one for a repository, wherever it lies, or for a folder."""
    key = checkpoint_key(checkpoint)
    readable = re.sub(r"[^A-Za-z0-9.-]+", "-", key).strip("-.")[-60:]
    return state / FOLDER / f"{readable}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.json"


def checkpoint_key(checkpoint: Checkpoint) -> str:
    """What a record is for: the repository's name, or the folder."""
    return checkpoint.requested if checkpoint.is_repository else str(checkpoint.path)


def trusted_code(state: Path, checkpoint: Checkpoint) -> Mapping[str, str] | None:
    """File name to SHA-256 as recorded below the state folder for this checkpoint; None where none is recorded.

    A record that cannot be read names no file: then nothing is trusted, rather than everything anew.
    """
    try:
        document = json.loads(record_path(state, checkpoint).read_text("utf-8"))
        return {str(name): str(digest) for name, digest in document["files"].items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
