"""The checkpoint's files: missing, cut off, damaged, pointers instead of files; each kind said once, with its files."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from ..facts.checkpoint.access import FOLDER
from ..finding import Finding
from .amounts import listed
from .fetching import pull_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..facts.checkpoint import Fault
    from ..facts.gather import Facts
    from ..settings.options import Settings

_SHARD = re.compile(r"-\d+-of-(?P<total>\d+)\.safetensors$")
# Kind of fault -> id, what is said of one file or of several, and why the engine cannot live with it.
_WORDS = {
    "missing": ("checkpoint-incomplete", "is missing", "are missing", "the engine would stop while it loads"),
    "truncated": ("checkpoint-truncated", "is cut off", "are cut off", "a download or a copy ended early"),
    "damaged": ("checkpoint-damaged", "cannot be read", "cannot be read", "the engine would stop while it loads"),
    "lfs-pointer": (
        "checkpoint-lfs-pointer",
        "is a Git LFS pointer, not the file itself",
        "are Git LFS pointers, not the files themselves",
        "the repository was cloned without git-lfs",
    ),
    "unfinished": (
        "checkpoint-unfinished",
        "is an unfinished download",
        "are unfinished downloads",
        "it goes on where it stopped",
    ),
    "dangling": (
        "checkpoint-dangling",
        "is a link to nothing",
        "are links to nothing",
        "the file it points to was removed or never came",
    ),
    "unreadable": (
        "checkpoint-unreadable",
        "may not be read by this user",
        "may not be read by this user",
        "nothing more can be said of the checkpoint",
    ),
}


def check_files(settings: Settings, facts: Facts) -> Iterator[Finding]:
    """A blocker for each kind of fatal fault, a warning for shards that nothing names."""
    by_kind: dict[str, list[Fault]] = {}
    for fault in facts.checkpoint.faults:
        by_kind.setdefault(fault.kind, []).append(fault)
    for kind, faults in by_kind.items():
        if kind == "extra":
            yield _extra(facts, faults)
        else:
            yield _fatal(settings, facts, kind, faults)


def _fatal(settings: Settings, facts: Facts, kind: str, faults: Sequence[Fault]) -> Finding:
    identity, one, several, why = _WORDS[kind]
    details = sorted({fault.detail for fault in faults if fault.detail})
    if kind == "missing" and not any(_SHARD.search(fault.file) for fault in faults):
        identity, why = "checkpoint-broken", "a checkpoint has config.json, a tokenizer and *.safetensors files"
    return Finding(
        identity,
        "checkpoint",
        "blocker",
        f"{_counted(faults)} {one if len(faults) == 1 else several}: {listed([fault.file for fault in faults])}"
        if faults[0].file != FOLDER
        else f"the checkpoint folder {facts.checkpoint.path} {one}",
        f"{facts.checkpoint.path}: {'; '.join([*details[:2], why])}",
        _fix(settings, facts, kind),
    )


def _counted(faults: Sequence[Fault]) -> str:
    """`3 of 5 shards` where the files' names tell of how many, else `one file of the checkpoint`."""
    totals = {int(found["total"]) for fault in faults if (found := _SHARD.search(fault.file))}
    if len(totals) == 1 and all(_SHARD.search(fault.file) for fault in faults):
        return f"{len(faults)} of {totals.pop()} shards"
    return "a file of the checkpoint" if len(faults) == 1 else f"{len(faults)} files of the checkpoint"


def _fix(settings: Settings, facts: Facts, kind: str) -> str:
    """A repository is fetched anew, which goes on from what is whole; a folder of the user's is the user's to mend."""
    checkpoint = facts.checkpoint
    folder = shlex.quote(str(checkpoint.path))
    if kind == "unreadable":
        return f'sudo chown -R "$USER" {folder} && chmod -R u+rX {folder}'
    if kind == "lfs-pointer":
        return f"git -C {folder} lfs pull"
    if checkpoint.is_repository:
        return pull_command(settings, facts)
    name, parent = shlex.quote(checkpoint.path.name), shlex.quote(str(checkpoint.path.parent))
    return (
        f"stepaudio-serve pull --model OWNER/{name} --models-dir {parent}   (OWNER of the repository), or copy it again"
    )


def _extra(facts: Facts, faults: Sequence[Fault]) -> Finding:
    folder = shlex.quote(str(facts.checkpoint.path))
    return Finding(
        "checkpoint-extra",
        "checkpoint",
        "warning",
        f"weights that the index does not name: {listed([fault.file for fault in faults])}",
        "they are not loaded, or loaded twice where the engine takes every *.safetensors file",
        f"ls -l {folder}/*.safetensors   # move away what does not belong",
    )
