"""Errors in words: one table from error to exit code, and one way to print them."""

from __future__ import annotations

import errno
import shlex
import sys
from typing import Any

import click

from ..errors import (
    EngineFailedError,
    NoSuchDeploymentError,
    PlanDiffersError,
    RefusedError,
    SettingsError,
    StepAudioError,
    TimedOutError,
    UnhealthyError,
)
from .output import document, notice, paint, printable, row

EXIT_CODES: dict[type[StepAudioError], int] = {
    SettingsError: 2,
    PlanDiffersError: 2,
    RefusedError: 3,
    EngineFailedError: 4,
    TimedOutError: 5,
    NoSuchDeploymentError: 6,
    UnhealthyError: 7,
}
INTERRUPTED = 130
UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""What writing to a stream can end with; unlike those of opening a file, these errors do not name it."""


def exit_code(error: StepAudioError) -> int:
    """The exit code of an error of the family."""
    return next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1)


def report(error: BaseException, *, as_json: bool) -> int:
    """Print an error and return the exit code."""
    if isinstance(error, click.exceptions.Exit):
        return int(error.exit_code)
    if isinstance(error, KeyboardInterrupt | click.exceptions.Abort):
        if as_json:
            document(_error("interrupted", "interrupted", "", ""))
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return 2
    if isinstance(error, click.ClickException):
        return _usage(error, as_json=as_json)
    known = error if isinstance(error, StepAudioError) else _of_docker(error) or _of_system(error) or _of_text(error)
    if known is None:
        return _bug(error, as_json=as_json)
    if as_json and not _unwritable(error):
        document({**_error(known.code, known.what, known.why, known.fix), **_details(known)})
    _say(known)
    return exit_code(known)


def _usage(error: click.ClickException, *, as_json: bool) -> int:
    context = error.ctx if isinstance(error, click.UsageError) else None
    what, fix = error.format_message(), f"{context.command_path if context else 'stepaudio-serve'} --help"
    if as_json:
        document(_error("usage", what, "", fix))
    notice(what, style="bold", level="blocker")
    row("fix", fix, whole=True)
    return 2


def _error(code: str, what: str, why: str, fix: str) -> dict[str, Any]:
    return {"error": {"code": code, "what": what, "why": why, "fix": fix}}


def _details(error: StepAudioError) -> dict[str, Any]:
    from dataclasses import asdict

    if isinstance(error, RefusedError) and error.findings:
        return {"findings": [asdict(finding) for finding in error.findings]}
    if isinstance(error, PlanDiffersError):
        return {"differences": [{"field": a, "running": b, "wanted": c} for a, b, c in error.differences]}
    if isinstance(error, EngineFailedError):
        return {
            "diagnoses": [asdict(found) for found in error.diagnoses],
            "log_tail": list(error.log_tail),
            "exit_code": error.exit_code,
        }
    return {}


def _of_docker(error: BaseException) -> StepAudioError | None:
    """What the container engine's SDK says: that the engine was lost while it was used, or why it refuses."""
    if type(error).__module__.split(".")[0] in {"docker", "requests", "urllib3"}:
        from docker.errors import APIError, NotFound

        from ..facts.engine import unavailable

        if isinstance(error, NotFound):
            return NoSuchDeploymentError("it is not there any more", why=_said(error), fix="stepaudio-serve status")
        if isinstance(error, APIError):
            return RefusedError("the container engine refused", why=_said(error), fix="docker info")

        return unavailable(str(error))
    return None


def _said(error: Any) -> str:
    return str(error.explanation or error)


def _of_system(error: BaseException) -> StepAudioError | None:
    """A file, folder or stream that cannot be read or written: the system's own words, and which."""
    if isinstance(error, OSError) and error.filename is not None:
        return RefusedError(f"{error.filename}: {error.strerror}", fix=f"ls -ld {shlex.quote(str(error.filename))}")
    if _unwritable(error):
        return StepAudioError("the output cannot be written", why=str(error).partition("] ")[2])
    return None


def _of_text(error: BaseException) -> StepAudioError | None:
    """A text that was given in another encoding than this program's, where it is used for the first time."""
    from ..client.characters import SURROGATE, not_utf8

    if isinstance(error, UnicodeEncodeError) and SURROGATE.search(error.object[error.start : error.end]):
        return not_utf8(error)
    return None


def _unwritable(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.filename is None and error.errno in UNWRITABLE


def _say(error: StepAudioError) -> None:
    if isinstance(error, EngineFailedError) and error.log_tail:
        sys.stderr.write(paint("the end of the log:\n", "dim", sys.stderr))
        for line in error.log_tail:
            sys.stderr.write(paint(f"  | {printable(line)}\n", "dim", sys.stderr))
    notice(error.what, style="bold", level="blocker")
    if isinstance(error, PlanDiffersError):
        for field, running, wanted in error.differences:
            sys.stderr.write(f"  {field}: {_shown(running)} -> {_shown(wanted)}\n")
    row("why", error.why)
    if isinstance(error, EngineFailedError) and error.diagnoses and error.diagnoses[0].evidence:
        row("line", error.diagnoses[0].evidence.text.strip(), whole=True)
    row("fix", error.fix, whole=True)
    for finding in error.findings[:] if isinstance(error, RefusedError) else ():
        if finding.level == "blocker" and finding.what != error.what:
            notice(finding.what, level="blocker")
            row("why", finding.why)
            row("fix", finding.fix, whole=True)


def _shown(value: object) -> str:
    return "(not set)" if value is None else "(set)" if value == "" else str(value)


def _bug(error: BaseException, *, as_json: bool) -> int:
    import traceback

    if as_json:
        document(_error("bug", f"{type(error).__name__}: {error}", "a bug of stepaudio-serve", "report it"))
    traceback.print_exception(error)
    sys.stderr.write("\nThis is a bug of stepaudio-serve. Please report it with the lines above and\n")
    sys.stderr.write("`stepaudio-serve --version` in the project's issue tracker.\n")
    return 1
