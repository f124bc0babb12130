"""How a start that did not become ready is worded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..diagnosis import diagnose, redact
from ..errors import EngineFailedError, StepAudioError, TimedOutError
from .pasteable import named, up_command
from .plugin import with_plugin_told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..runtime.deployment import Deployment
    from ..settings.options import Settings
    from ..startup.watch import Outcome

TAIL_SHOWN = 20


def failure(deployment: Deployment, outcome: Outcome, settings: Settings, *, owner: bool) -> StepAudioError:
    """The error that words how a start ended without success; `owner` says that this command had started it."""
    if outcome.result == "failed":
        exit_ = outcome.exit
        ended = replace(
            deployment,
            state="exited",
            exit_code=exit_.code if exit_ else None,
            oom_killed=bool(exit_ and exit_.oom_killed),
        )
        return failed_start(ended, outcome.lines, "the engine ended before it was ready")
    last = outcome.progress.detail or outcome.progress.phase.value
    known = diagnose(list(outcome.lines))
    if outcome.result == "stalled":
        return TimedOutError(
            f"the engine said nothing new for {settings.stall_timeout:g} s (last: {last})",
            why=known[0].cause if known else "it hangs, or --stall-timeout is too short for it",
            fix=f"stepaudio-serve logs {deployment.name}",
        )
    longer = 2 * settings.ready_timeout
    return TimedOutError(
        f"the engine was not ready after {settings.ready_timeout:g} s (last: {last})",
        why=known[0].cause if known else "",
        fix=up_command(settings.to_label(), ready_timeout=longer)
        if owner
        else f"stepaudio-serve wait {deployment.name} --timeout {longer:g}",
    )


def failed_start(ended: Deployment, lines: Sequence[str], what: str) -> EngineFailedError:
    """An ended engine's error, with its diagnoses and the end of its log."""
    diagnoses = diagnose(list(lines), exit_code=ended.exit_code, oom_killed=ended.oom_killed)
    found = [named(diagnosis, ended) for diagnosis in with_plugin_told(diagnoses, ended, lines)]
    first = found[0] if found else None
    return EngineFailedError(
        f"{what} (exit code {ended.exit_code})",
        why=first.cause if first else "the cause is not in the catalogue; the end of the log may tell",
        fix=first.fix if first else f"stepaudio-serve logs {ended.name}",
        diagnoses=found,
        log_tail=[redact(line) for line in lines[-TAIL_SHOWN:]],
        exit_code=ended.exit_code,
    )
