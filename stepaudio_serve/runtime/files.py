"""The plan's files, written where the engine will see them; the key apart, readable by its owner only."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..plan.plan import Plan


def write_files(plan: Plan, api_key: str | None) -> None:
    """Write `plan.files` below `plan.files_source`, and an empty file for a key, for a container to be created with.

    The folder's name contains a digest of what is in it, so that a running deployment's files never change; nor
    does its key, which is written only by the start that has won the name (`write_key`).
    """
    if not plan.files_source:
        return
    for path, text in plan.files.items():
        target = Path(plan.files_source) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, text, 0o644)
    if api_key is not None and plan.key_file is not None:
        Path(plan.key_file).touch(0o600)


def write_key(plan: Plan, api_key: str | None) -> None:
    """Write the key where the plan expects a file of ours."""
    if api_key is not None and plan.key_file is not None:
        _replace(Path(plan.key_file), api_key + "\n", 0o600)


def key_changed(plan: Plan, api_key: str | None) -> bool:
    """Whether the key given differs from the one a deployment of this plan was started with."""
    if api_key is None or plan.key_file is None:
        return False
    try:
        return Path(plan.key_file).read_text("utf-8").strip() != api_key
    except OSError:
        return True


def remove_files(files_source: str) -> None:
    """Remove what was written for a deployment, given its plan's `files_source`."""
    if files_source:
        shutil.rmtree(Path(files_source).parent, ignore_errors=True)


def _replace(target: Path, text: str, mode: int) -> None:
    fresh = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.chmod(mode)
    fresh.replace(target)
