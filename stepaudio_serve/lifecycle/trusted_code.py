"""Recording a checkpoint's code at its first start, with which later starts compare."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RefusedError
from ..facts.trusted_code import checkpoint_key, record_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..facts.checkpoint import Checkpoint
    from ..facts.gather import Facts
    from ..settings.options import Settings
    from .observer import Observer


def remember_code(settings: Settings, facts: Facts, observer: Observer) -> None:
    """With `trust_remote_code: pinned`, write down what is about to run for the first time, and say so.

    To be called when the checks have found no blocker, right before the start. A record that is there is never
    written over: the checks have compared with it.

    Raises:
        OSError: the state folder cannot be written.
        RefusedError: another start recorded other code just now.
    """
    checkpoint = facts.checkpoint
    first = facts.trusted_code is None
    if settings.engine != "vllm" or settings.trust_remote_code != "pinned" or not checkpoint.code or not first:
        return
    path = record_path(facts.folders.state, checkpoint)
    if not _write_once(path, checkpoint):
        return
    files = ", ".join(f"{file.name} (SHA-256 {file.sha256})" for file in checkpoint.code)
    observer.notice(f"recorded the code of {checkpoint_key(checkpoint)}, from now on only this runs: {files}")


def _write_once(path: Path, checkpoint: Checkpoint) -> bool:
    """The first of several starts at once writes it; it is there whole or not at all."""
    document = {
        "checkpoint": checkpoint_key(checkpoint),
        "files": {file.name: file.sha256 for file in checkpoint.code},
    }
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, fresh = tempfile.mkstemp(dir=path.parent)  # readable by its owner only
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
        try:
            os.link(fresh, path)
        except FileExistsError:
            _compare(path, document)
            return False
    finally:
        Path(fresh).unlink()
    return True


def _compare(path: Path, document: Mapping[str, object]) -> None:
    """Somebody else recorded just now: it has to be the same code."""
    try:
        same = json.loads(path.read_text("utf-8")) == document
    except (OSError, ValueError):
        same = False
    if not same:
        raise RefusedError(
            "another start has just recorded other code for this checkpoint",
            why=f"what {path} holds is not what this start looked at",
            fix="stepaudio-serve doctor --trust-remote-code pinned",
        )
