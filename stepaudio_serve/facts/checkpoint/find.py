"""Where a checkpoint is: a folder, the models folder, or the Hub's cache."""

from __future__ import annotations

import re
from pathlib import Path

from .access import FOLDER, forbidden
from .checkpoint import Checkpoint, Fault
from .look import look
from .problem import problem_of
from .published import as_published

_REPOSITORY = re.compile(r"^[\w.-]+/[\w.-]+$")


def find_checkpoint(model: str, *, models_dir: Path, hub_cache: Path, revision: str | None = None) -> Checkpoint:
    """Find the folder that `model` names: a path, or a Hub repository that is on disk.

    Of a well-known repository that is not, shape and sizes are the published ones.
    """
    as_path = _expanded(model)
    if model.startswith(("/", "./", "../", "~")) or _is_folder(as_path) or not _REPOSITORY.match(model):
        path = Path.cwd() / as_path if not as_path.is_absolute() else as_path
        return _look(model, path, *_to_mount(path), is_repository=False)
    for candidate in (models_dir / model, models_dir / model.split("/")[1]):
        if _is_folder(candidate):
            return _look(model, candidate, candidate, "", is_repository=True)
    cached = hub_cache / f"models--{model.replace('/', '--')}"
    try:
        snapshot = _snapshot(cached, revision)
    except PermissionError as error:
        return _unreadable(model, cached, cached, "", True, (Fault("unreadable", FOLDER, error.strerror or ""),))
    if snapshot is not None:
        return _look(model, snapshot, *_to_mount(snapshot), is_repository=True)
    wanted = models_dir / model.split("/")[1]
    absent = Checkpoint(model, wanted, wanted, "", exists=False, problem="is not on this disk", is_repository=True)
    return as_published(absent)


def _to_mount(path: Path) -> tuple[Path, str]:
    """The folder to mount for a checkpoint, and where the checkpoint is below it."""
    try:
        real = path.resolve()
    except (OSError, RuntimeError):  # a name longer than any file's, links in a circle
        return path, ""
    if real.parent.name != "snapshots" or not _is_folder(real.parents[1] / "blobs"):
        return path, ""
    return real.parents[1], f"snapshots/{real.name}"


def _expanded(model: str) -> Path:
    try:
        return Path(model).expanduser()
    except RuntimeError:  # ~nobody
        return Path(model)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # may not be looked at, or its name is longer than any file's
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _snapshot(repository: Path, revision: str | None) -> Path | None:
    reference = repository / "refs" / (revision or "main")
    commit = reference.read_text("ascii").strip() if reference.is_file() else revision
    snapshot = repository / "snapshots" / (commit or "")
    return snapshot if commit and snapshot.is_dir() else None


def _look(requested: str, path: Path, mount_source: Path, inside: str, *, is_repository: bool) -> Checkpoint:
    if _is_folder(path):
        if faults := forbidden(path):
            return _unreadable(requested, path, mount_source, inside, is_repository, faults)
        try:
            return look(requested, path, mount_source, inside, is_repository=is_repository)
        except PermissionError as error:
            name = str(error.filename or FOLDER)
            fault = Fault("unreadable", name.removeprefix(f"{path}/"), error.strerror or "")
            return _unreadable(requested, path, mount_source, inside, is_repository, (fault,))
    problem = "is a file, not a folder" if _exists(path) else "does not exist, or may not be looked at"
    return Checkpoint(requested, path, mount_source, inside, False, problem, is_repository)


def _unreadable(
    requested: str, path: Path, mount_source: Path, inside: str, is_repository: bool, faults: tuple[Fault, ...]
) -> Checkpoint:
    """It is there, and nothing more is known of it."""
    return Checkpoint(requested, path, mount_source, inside, True, problem_of(faults), is_repository, faults=faults)
