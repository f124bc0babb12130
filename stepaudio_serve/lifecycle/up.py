"""`up`: from settings to an endpoint that has answered a spoken question."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..diagnosis import diagnose, redact
from ..errors import (
    EngineFailedError,
    NoSuchDeploymentError,
    PlanDiffersError,
    RefusedError,
    StepAudioError,
    TimedOutError,
    UnhealthyError,
)
from ..plan.difference import differences
from ..runtime.deployment import Deployment, ForeignError, NameTakenError
from ..runtime.files import key_changed, remove_files, write_files
from ..startup.interrupt import interruption_deferred
from ..startup.watch import watch
from .observer import Observer
from .prepare import Prepared, findings_before_start, prepare, refuse
from .status import Status, status_of

if TYPE_CHECKING:
    from ..runtime.deployment import Runtime
    from ..settings.options import Settings
    from ..startup.canary import Canary, CanaryResult
    from ..startup.watch import Outcome

TAIL_SHOWN = 20
ATTEMPTS = 3
FAILED_STOP_GRACE = 5


@dataclass(frozen=True, slots=True)
class Launched:
    """What `up` or `wait` ended with; times in seconds.

    `already` says that it ran before; `start` counts to the engine's first healthy answer, `ready` to the
    hand-off, `canary` is the question alone. `reaction` is the time from the first healthy answer to the question,
    `answered_at` the moment of its answer in seconds since the epoch.
    """

    status: Status
    already: bool
    start: float | None = None
    ready: float | None = None
    reaction: float | None = None
    canary: CanaryResult | None = None
    answered_at: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The document that `up --json` and `wait --json` print."""
        asked = self.canary
        return {
            **self.status.to_json(),
            "already_running": self.already,
            "seconds": {
                "start": _rounded(self.start),
                "ready": _rounded(self.ready),
                "canary": _rounded(asked.seconds) if asked else None,
                "reaction": _rounded(self.reaction),
            },
            "canary": {
                "asked": asked.asked if asked else None,
                "answer": asked.answer if asked else None,
                "heard": asked.heard if asked else None,
                "why": asked.why if asked else "",
                "answered_at": self.answered_at,
            },
        }


@dataclass(frozen=True, slots=True)
class Moments:
    """`time.monotonic()` stamps: when the command began, and when the engine first said that it is healthy."""

    began: float
    healthy: float


def up(
    settings: Settings, *, replace_existing: bool = False, wait: bool = True, observer: Observer | None = None
) -> Launched:
    """Plan, check, fetch, start, watch, ask the canary, hand over.

    Interrupted before the hand-off, it removes what it created and nothing else. A start that fails leaves
    its stopped container with its logs.

    Raises:
        SettingsError, RefusedError: nothing was started.
        PlanDiffersError: it runs from another plan, and `replace_existing` was not said.
        EngineFailedError, TimedOutError: it was started and did not become ready.
        UnhealthyError: it answers, but did not hear the canary, and the canary is strict.
        KeyboardInterrupt: interrupted.
    """
    observer = observer or Observer()
    began = time.monotonic()
    prepared = prepare(settings)
    observer.planned(prepared.plan)
    for _ in range(ATTEMPTS):
        with suppress(NameTakenError):
            return _up_once(prepared, replace_existing, wait, observer, began)
    raise RefusedError(
        f"the name `{settings.name}` keeps being taken and given up",
        why="others start and stop a deployment of this name",
        fix="stepaudio-serve status",
    )


def _up_once(prepared: Prepared, replace_existing: bool, wait: bool, observer: Observer, began: float) -> Launched:
    runtime, plan = prepared.runtime, prepared.plan
    existing = _existing(runtime, plan.name)
    if existing is not None and existing.state != "exited":
        changed = _changes(prepared, existing)
        if not changed:
            return _join(prepared, existing, wait, observer, began)
        if not replace_existing:
            raise PlanDiffersError(
                f"`{plan.name}` is already there, from another plan",
                differences=changed,
                fix="stepaudio-serve up --replace ...   (or another --name and --port)",
            )
    findings = findings_before_start(prepared, replacing=existing)
    if any(finding.id == "port-taken" for finding in findings) and existing is None and _existing(runtime, plan.name):
        raise NameTakenError("somebody else started it just now")
    refuse(findings)
    observer.findings([finding for finding in findings if finding.level != "ok"])
    _ensure_image(prepared, observer)
    if existing is not None:
        if existing.state == "running":
            observer.notice(f"stopping the running `{plan.name}` (plan {existing.plan_hash})")
            runtime.stop(existing, int(existing.plan["stop_grace"]))
        runtime.remove(existing)
    return _start(prepared, wait, observer, began)


def _existing(runtime: Runtime, name: str) -> Deployment | None:
    try:
        return runtime.find(name)
    except ForeignError as error:
        raise RefusedError(error.what, why=error.why, fix=error.fix) from error


def _changes(prepared: Prepared, existing: Deployment) -> tuple[tuple[str, object, object], ...]:
    key = prepared.settings.api_key
    changed = () if existing.plan_hash == prepared.plan.hash else differences(existing.plan, prepared.plan.identity())
    if key_changed(prepared.plan, key.get_secret_value() if key else None):
        changed += (("api_key", "********", "another"),)
    return changed


def _ensure_image(prepared: Prepared, observer: Observer) -> None:
    if prepared.plan.runtime != "docker":
        return
    from ..checks.launch import check_platform_of
    from ..facts.engine import look_at_image
    from ..runtime.docker import DockerRuntime
    from ..runtime.image import pull

    runtime, image = prepared.runtime, prepared.plan.image
    if not isinstance(runtime, DockerRuntime):
        return
    found = look_at_image(runtime.client, image)
    if found is None:
        pull(runtime.client, image, on_event=lambda event: observer.pulling(image, event))
        observer.pulled(image)
    else:
        refuse(check_platform_of(found, image, prepared.facts.architecture))


def _start(prepared: Prepared, wait: bool, observer: Observer, began: float) -> Launched:
    runtime, plan, settings = prepared.runtime, prepared.plan, prepared.settings
    created: Deployment | None = None
    try:
        with interruption_deferred():
            write_files(plan, settings.api_key.get_secret_value() if settings.api_key else None)
            created = runtime.create(plan)
        with interruption_deferred():
            created = runtime.start(created)
        if not wait:
            observer.notice("not waiting: `stepaudio-serve wait` completes the hand-off (restart policy, canary)")
            return Launched(status_of(runtime, created), already=False)
        return _to_ready(prepared, created, observer, began, owner=True)
    except KeyboardInterrupt:
        if created is not None:
            observer.notice(f"interrupted: removing `{plan.name}`, which was being started")
            with interruption_deferred():
                runtime.remove(created)
                remove_files(prepared.facts.folders.state, plan.name)
        raise


def _join(prepared: Prepared, existing: Deployment, wait: bool, observer: Observer, began: float) -> Launched:
    """It is there already, from the same plan: say so, or wait for whoever is starting it."""
    status = status_of(prepared.runtime, existing)
    if status.health == "healthy":
        return Launched(status, already=True)
    if status.health == "unhealthy":
        raise UnhealthyError(
            f"`{existing.name}` runs and does not answer ({status.detail})",
            why=status.diagnosis.cause if status.diagnosis else "",
            fix=f"stepaudio-serve restart {existing.name}",
        )
    if not wait:
        return Launched(status, already=True)
    observer.notice(f"`{existing.name}` is being started by somebody else from the same plan; waiting for it")
    return replace(_to_ready(prepared, existing, observer, began, owner=False), already=True)


def _to_ready(prepared: Prepared, deployment: Deployment, observer: Observer, began: float, *, owner: bool) -> Launched:
    settings = prepared.settings
    canary = canary_for(settings)
    outcome = watch(
        prepared.runtime,
        deployment,
        ready_timeout=settings.ready_timeout,
        stall_timeout=settings.stall_timeout,
        on_line=observer.line,
    )
    if outcome.result != "ready" or outcome.healthy_at is None:
        if outcome.result != "failed" and owner:
            prepared.runtime.stop(deployment, FAILED_STOP_GRACE)
        raise failure(deployment, outcome, settings)
    moments = Moments(began, outcome.healthy_at)
    return hand_over(prepared.runtime, deployment, settings, canary, moments, observer)


def canary_for(settings: Settings) -> Canary | None:
    """The question to ask, loaded with the HTTP client before the engine is ready; None when it is switched off."""
    if settings.canary == "off":
        return None
    from ..startup.canary import load_canary

    return load_canary()


def hand_over(
    runtime: Runtime,
    deployment: Deployment,
    settings: Settings,
    canary: Canary | None,
    moments: Moments,
    observer: Observer,
) -> Launched:
    """Ask the canary, then leave the healthy engine to itself: from here on it is restarted as its plan says.

    Raises:
        EngineFailedError: the engine died of the question.
        UnhealthyError: it did not answer, or it did not hear and the canary is strict.
    """
    heard, reaction, answered_at = None, None, None
    if canary is not None:
        from ..startup.canary import ask_canary

        key = key_of(settings, deployment)
        observer.asking(canary.question)
        reaction = time.monotonic() - moments.healthy
        heard = ask_canary(canary, deployment.endpoint, deployment.model, engine=deployment.engine, api_key=key)
        answered_at = time.time()
    now = runtime.find(deployment.name)
    if now is None:
        raise NoSuchDeploymentError(f"`{deployment.name}` was removed while it was asked", fix="stepaudio-serve up")
    if now.state == "exited":
        lines = tuple(_log_lines(runtime, now))
        raise failed_start(now, lines, "the engine died of the first question")
    runtime.hand_over(now)
    _judge(heard, settings, deployment.name)
    status = status_of(runtime, runtime.find(deployment.name) or now)
    done = time.monotonic()
    return Launched(status, False, moments.healthy - moments.began, done - moments.began, reaction, heard, answered_at)


def _judge(canary: CanaryResult | None, settings: Settings, name: str) -> None:
    """No answer at all is always an error: `/health` alone says little. A wrong answer is one when strict."""
    if canary is None or canary.heard:
        return
    fix = f"stepaudio-serve logs --tail 50 {name}   (it keeps running; stepaudio-serve down ends it)"
    if canary.heard is None:
        raise UnhealthyError(
            "the engine says that it is healthy, and did not answer a question", why=canary.why, fix=fix
        )
    if settings.canary == "strict":
        answer = (canary.answer or "")[:200]
        raise UnhealthyError(
            "the engine answers, but did not hear what was said", why=f"{canary.why} Its answer: {answer!r}", fix=fix
        )


def key_of(settings: Settings, deployment: Deployment) -> str | None:
    """The key to ask with: the setting's, else the first line of the key file that the deployment uses.

    Raises:
        RefusedError: the deployment's key file cannot be read by this user.
    """
    from pathlib import Path

    if settings.api_key is not None:
        return settings.api_key.get_secret_value()
    path = deployment.plan.get("key_file")
    if not path:
        return None
    try:
        return Path(path).read_text("utf-8").split()[0]
    except (OSError, IndexError) as error:
        raise RefusedError(
            f"the key file {path} cannot be read", why=str(error), fix="STEPAUDIO_API_KEY=..."
        ) from error


def failure(deployment: Deployment, outcome: Outcome, settings: Settings) -> StepAudioError:
    """The error that words how a start ended without success."""
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
            why=known[0].cause if known else "",
            fix=f"stepaudio-serve logs {deployment.name}   (or a longer --stall-timeout)",
        )
    return TimedOutError(
        f"the engine was not ready after {settings.ready_timeout:g} s (last: {last})",
        why=known[0].cause if known else "",
        fix="stepaudio-serve up --ready-timeout 3600",
    )


def failed_start(ended: Deployment, lines: tuple[str, ...], what: str) -> EngineFailedError:
    """An ended engine's error, with its diagnoses and the end of its log."""
    found = diagnose(list(lines), exit_code=ended.exit_code, oom_killed=ended.oom_killed)
    first = found[0] if found else None
    return EngineFailedError(
        f"{what} (exit code {ended.exit_code})",
        why=first.cause if first else "the cause is not in the catalogue; the end of the log may tell",
        fix=first.fix if first else f"stepaudio-serve logs {ended.name}",
        diagnoses=found,
        log_tail=[redact(line) for line in lines[-TAIL_SHOWN:]],
        exit_code=ended.exit_code,
    )


def _log_lines(runtime: Runtime, deployment: Deployment) -> list[str]:
    from ..startup.watch import lines_of

    return list(lines_of(runtime.logs(deployment)))


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
