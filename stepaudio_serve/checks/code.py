"""The checkpoint's own code, which trust_remote_code lets the engine run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ..facts.trusted_code import record_path
from ..finding import Finding
from ..settings.engine_images import chosen_image, trusts_code
from .amounts import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ..facts.checkpoint import Checkpoint
    from ..facts.gather import Facts
    from ..settings.options import Settings


def check_code(settings: Settings, facts: Facts) -> Iterator[Finding]:
    """What would run, and whether it is what was recorded."""
    checkpoint = facts.checkpoint
    if not checkpoint.has_remote_code:
        return
    if not trusts_code(settings):
        yield from _unused(settings, checkpoint)
    elif settings.trust_remote_code == "pinned":
        yield from _pinned(facts)
    else:
        yield Finding(
            "trust-remote-code",
            "checkpoint",
            "note",
            f"code of the checkpoint runs in the engine: {_names(checkpoint)}",
            "trust_remote_code is on; `--trust-remote-code pinned` refuses files that change later"
            if chosen_image(settings).checkpoint_code
            else "trust_remote_code is on, and the plugin does without it: leave --trust-remote-code away",
        )


def _unused(settings: Settings, checkpoint: Checkpoint) -> Iterator[Finding]:
    """No code of the checkpoint runs, which only our plugin can do without."""
    known = chosen_image(settings)
    if known.checkpoint_code:
        yield Finding(
            "trust-remote-code",
            "checkpoint",
            "warning",
            "the checkpoint brings code of its own and trust_remote_code is off",
            "the released image refuses to load the model without it",
            "--trust-remote-code on",
        )
    elif any(name in known.architectures for name in checkpoint.architectures):
        what = "no code of the checkpoint runs in the engine: the plugin brings config and model"
        yield Finding("trust-remote-code", "checkpoint", "ok", what)
    else:
        yield Finding(
            "trust-remote-code",
            "checkpoint",
            "note",
            f"the checkpoint brings code of its own, which does not run: {_names(checkpoint)}",
            "if vLLM does not know the model, it asks for it: then --trust-remote-code on",
        )


def _names(checkpoint: Checkpoint) -> str:
    shown = [f"{file.name} of {file.repository}" if file.repository else file.name for file in checkpoint.code]
    return listed(shown) if shown else "files that its config names"


def _pinned(facts: Facts) -> Iterator[Finding]:
    checkpoint, recorded = facts.checkpoint, facts.trusted_code
    record = record_path(facts.folders.state, checkpoint)
    if recorded is not None and not recorded:
        yield _unreadable(record)
        return
    loose = [
        file
        for file in checkpoint.code
        if not file.can_be_pinned and (file.repository or file.name not in (recorded or {}))
    ]
    if loose:
        where = ", ".join(f"{file.name}" + (f" of {file.repository}" if file.repository else "") for file in loose)
        yield Finding(
            "code-elsewhere",
            "checkpoint",
            "blocker",
            f"code that is not in the checkpoint's folder cannot be pinned: {where}",
            "the engine would fetch it anew, as it is then",
            "--trust-remote-code on",
        )
        return
    if recorded is None:
        yield Finding(
            "trust-remote-code",
            "checkpoint",
            "note",
            f"the first start records the checkpoint's code: {_names(checkpoint)}",
            f"in {record}; a file that changes later is refused",
        )
        return
    changes = tuple(_changes(checkpoint, recorded))
    if changes:
        yield _changed(checkpoint.path, changes, record)
    else:
        what = f"the checkpoint's code is as recorded: {_names(checkpoint)}"
        yield Finding("trust-remote-code", "checkpoint", "ok", what)


def _unreadable(record: Path) -> Finding:
    return Finding(
        "code-changed",
        "checkpoint",
        "blocker",
        f"the record of the checkpoint's code cannot be read: {record}",
        "trust_remote_code is pinned: without it nothing tells whether the code has changed",
        f"rm {shlex.quote(str(record))}   # if you trust the code as it is now: the next start records it anew",
    )


def _changes(checkpoint: Checkpoint, recorded: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Name and what happened, with both hashes."""
    now = {file.name: file.sha256 for file in checkpoint.code if file.can_be_pinned}
    for name in sorted({*now, *recorded}):
        if name not in recorded:
            yield name, f"{name} is new (SHA-256 {now[name]})"
        elif name not in now:
            yield name, f"{name} is gone (recorded SHA-256 {recorded[name]})"
        elif now[name] != recorded[name]:
            yield name, f"{name} has changed (recorded SHA-256 {recorded[name]}, now {now[name]})"


def _changed(folder: Path, changes: tuple[tuple[str, str], ...], record: Path) -> Finding:
    files = [shlex.quote(str(folder / name)) for name, words in changes if "is gone" not in words]
    look = f"less {' '.join(files)}" if files else f"ls -l {shlex.quote(str(folder))}"
    return Finding(
        "code-changed",
        "checkpoint",
        "blocker",
        "the checkpoint's code is not what was recorded: " + "; ".join(words for _, words in changes),
        "trust_remote_code is pinned: only recorded code runs in the engine",
        f"{look}   # if you trust it: rm {shlex.quote(str(record))}",
    )
