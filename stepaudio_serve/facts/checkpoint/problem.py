"""The faults of a checkpoint folder as one sentence that begins with its verb."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .access import FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .checkpoint import Fault


def problem_of(faults: Sequence[Fault]) -> str:
    """Why a folder with these faults cannot be served: the first that is fatal; empty where none is."""
    fatal = [fault for fault in faults if fault.is_fatal]
    unfinished = [fault for fault in fatal if fault.kind == "unfinished"]
    rest = [fault for fault in fatal if fault.kind != "unfinished"]
    if not fatal:
        return ""
    if not rest:
        return f"is not downloaded to its end: {unfinished[0].file} is left over"
    sentence = _sentence(rest[0])
    if len(rest) > 1:
        sentence += f", and {len(rest) - 1} more of its files are missing or broken"
    return f"{sentence}; a download was not finished" if unfinished else sentence


def _sentence(fault: Fault) -> str:
    file, detail = fault.file, fault.detail
    if fault.kind == "unreadable":
        return "may not be read by this user" if file == FOLDER else f"has a {file} that this user may not read"
    if fault.kind == "dangling":
        return f"has no {file}: a link to nothing"
    if fault.kind == "missing":
        return f"has no {file} ({detail})" if detail else f"has no {file}"
    if fault.kind == "truncated":
        return f"has a truncated {file}: {detail}"
    if fault.kind == "lfs-pointer":
        return f"has a Git LFS pointer in place of {file}" + (f" ({detail})" if detail else "")
    return f"has a {file} that cannot be read: {detail}"
