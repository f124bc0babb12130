"""Errors in words: one table from error to exit code, and one way to print them."""

from __future__ import annotations

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
from .output import document, notice, paint

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
    if isinstance(error, click.ClickException):
        if as_json:
            document(_error("usage", error.format_message(), "", "stepaudio-serve --help"))
        error.show()
        return 2
    known = error if isinstance(error, StepAudioError) else _of_docker(error) or _of_system(error)
    if known is None:
        return _bug(error, as_json=as_json)
    if as_json:
        document({**_error(known.code, known.what, known.why, known.fix), **_details(known)})
    _say(known)
    return exit_code(known)


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
    """The container engine was lost while it was used: its SDK's errors, and those it lets through."""
    if type(error).__module__.split(".")[0] in {"docker", "requests", "urllib3"}:
        from ..facts.engine import unavailable

        return unavailable(str(error))
    return None


def _of_system(error: BaseException) -> StepAudioError | None:
    """A file or folder that cannot be read or written: the system's own words, and which."""
    if isinstance(error, OSError) and error.filename is not None:
        return RefusedError(f"{error.filename}: {error.strerror}", fix=f"ls -ld '{error.filename}'")
    return None


def _say(error: StepAudioError) -> None:
    if isinstance(error, EngineFailedError) and error.log_tail:
        sys.stderr.write(paint("the end of the log:\n", "dim", sys.stderr))
        for line in error.log_tail:
            sys.stderr.write(paint(f"  | {line}\n", "dim", sys.stderr))
    notice(paint(error.what, "bold", sys.stderr), level="blocker")
    if isinstance(error, PlanDiffersError):
        for field, running, wanted in error.differences:
            sys.stderr.write(f"  {field}: {_shown(running)} -> {_shown(wanted)}\n")
    _row("why", error.why)
    if isinstance(error, EngineFailedError) and error.diagnoses and error.diagnoses[0].evidence:
        _row("line", error.diagnoses[0].evidence.text.strip())
    _row("fix", error.fix)
    for finding in error.findings[:] if isinstance(error, RefusedError) else ():
        if finding.level == "blocker" and finding.what != error.what:
            notice(finding.what, level="blocker")
            _row("why", finding.why)
            _row("fix", finding.fix)


def _shown(value: object) -> str:
    return "(not set)" if value is None else "(set)" if value == "" else str(value)


def _row(label: str, text: str) -> None:
    if text:
        sys.stderr.write(f"  {paint(label.ljust(4), 'dim', sys.stderr)} {text}\n")


def _bug(error: BaseException, *, as_json: bool) -> int:
    import traceback

    if as_json:
        document(_error("bug", f"{type(error).__name__}: {error}", "a bug of stepaudio-serve", "report it"))
    traceback.print_exception(error)
    sys.stderr.write("\nThis is a bug of stepaudio-serve. Please report it with the lines above and\n")
    sys.stderr.write("`stepaudio-serve --version` in the project's issue tracker.\n")
    return 1
