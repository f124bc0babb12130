"""`up`: from settings to an endpoint that has answered a spoken question."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import PlanDiffersError, RefusedError, UnhealthyError
from ..plan.difference import differences
from ..runtime.deployment import Deployment, ForeignError, NameTakenError, find_settled
from ..runtime.files import key_changed, remove_files, write_files
from ..startup.interrupt import interruption_deferred
from ..startup.watch import watch
from .failure import failure
from .hand_over import Launched, Moments, canary_for, hand_over
from .observer import Observer
from .prepare import Prepared, findings_before_start, prepare, refuse
from .status import status_of

if TYPE_CHECKING:
    from ..runtime.deployment import Runtime
    from ..settings.options import Settings

ATTEMPTS = 3
FAILED_STOP_GRACE = 5


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
    if existing is not None and existing.state == "running":
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
        return find_settled(runtime, name)
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
        try:
            with interruption_deferred():
                write_files(plan, settings.api_key.get_secret_value() if settings.api_key else None)
                created = runtime.create(plan)
            with interruption_deferred():
                created = runtime.start(created)
        except RefusedError:
            remove_files(prepared.facts.folders.state, plan.name)
            raise
        observer.started()
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
