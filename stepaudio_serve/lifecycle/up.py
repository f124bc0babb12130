"""`up`: from settings to an endpoint that has answered a spoken question."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import PlanDiffersError, RefusedError
from ..plan.difference import Difference, differences
from ..pull.again import pull_command
from ..runtime.deployment import NameTakenError
from ..runtime.files import key_changed, remove_files, write_files, write_key
from ..startup.interrupt import interruption_deferred
from .fetch import CURED_BY_FETCHING, bring_missing, can_be_fetched, look_for_missing, offering_to_fetch
from .hand_over import Launched
from .observer import Observer
from .pasteable import up_command
from .prepare import Prepared, existing_deployment, findings_before_start, prepare, refuse
from .ready import join, to_ready
from .status import status_of
from .trusted_code import remember_code

if TYPE_CHECKING:
    from ..finding import Finding
    from ..runtime.deployment import Deployment
    from ..settings.options import Settings

ATTEMPTS = 30
ATTEMPT_SECONDS = 0.3
"""Between two attempts: Docker refuses a name while its container is being created and cannot be looked at yet."""


def up(
    settings: Settings,
    *,
    replace_existing: bool = False,
    wait: bool = True,
    attached: bool = False,
    fetch: bool = False,
    observer: Observer | None = None,
) -> Launched:
    """Plan, check, fetch, start, watch, ask the canary, hand over.

    A missing image is pulled, as `docker run` does; a missing checkpoint is fetched only where `fetch` is said.
    What would refuse the start anyway is found before anything is fetched. The observer is asked once.

    Interrupted before the hand-off, it removes what it created and nothing else. A start that fails leaves
    its stopped container with its logs. `attached`: somebody stays and watches, so that an engine started here
    is not restarted when it ends, as if the setting `restart` were `no`.

    Raises:
        SettingsError, RefusedError: nothing was started.
        PlanDiffersError: it runs from another plan, and `replace_existing` was not said.
        EngineFailedError, TimedOutError: it was started and did not become ready.
        UnhealthyError: it did not answer the canary, or did not hear it and the canary is strict.
        KeyboardInterrupt: interrupted. OSError: what the observer writes to is gone, which counts as interrupted.
    """
    observer = observer or Observer()
    began = time.monotonic()
    prepared = prepare(settings.model_copy(update={"restart": "no"}) if attached else settings)
    observer.planned(prepared.plan)
    told: set[Finding] = set()
    for _ in range(ATTEMPTS):
        with suppress(NameTakenError):
            existing = existing_deployment(prepared)
            if existing is not None and existing.state == "running":
                changed = _changes(prepared, existing, attached=attached)
                if not changed:
                    return _join(prepared, existing, wait, observer, began)
                if not replace_existing:
                    raise _differs(prepared, changed, attached=attached)
            if _fetch(prepared, existing, observer, told, checkpoint=fetch):
                before, prepared = prepared.plan, prepare(prepared.settings)  # what came is looked at, too
                if prepared.plan.hash != before.hash:
                    observer.planned(prepared.plan)
                continue
            remember_code(prepared.settings, prepared.facts, observer)
            _make_room(prepared, existing, observer)
            return _start(prepared, wait, observer, began)
        time.sleep(ATTEMPT_SECONDS)
    raise RefusedError(
        f"the name `{settings.name}` keeps being taken and given up",
        why="others start and stop a deployment of this name",
        fix="stepaudio-serve status",
    )


def _fetch(
    prepared: Prepared, existing: Deployment | None, observer: Observer, told: set[Finding], *, checkpoint: bool
) -> bool:
    """Check, then fetch what is missing; whether anything came, which is to be checked in its turn.

    What is not ok is said once: `told` grows by it.
    """
    findings = findings_before_start(prepared, replacing=existing)
    if any(finding.id == "port-taken" for finding in findings) and existing is None and existing_deployment(prepared):
        raise NameTakenError("somebody else started it just now")
    fetchable = can_be_fetched(prepared.settings, prepared.facts.checkpoint)
    if fetchable and not checkpoint:
        refuse(offering_to_fetch(findings))
    fetchable = checkpoint and fetchable
    refuse(tuple(finding for finding in findings if not (fetchable and finding.id in CURED_BY_FETCHING)))
    missing = look_for_missing(prepared, checkpoint=fetchable)
    if not fetchable:
        new = [finding for finding in findings if finding.level != "ok" and finding not in told]
        told.update(new)
        observer.findings(new)
    if missing and not observer.may_fetch(missing):
        raise RefusedError(
            "nothing was fetched, and nothing started",
            why="the answer was no",
            fix=f"{pull_command(prepared.settings)}   (fetches without starting)",
        )
    bring_missing(prepared, missing, observer)
    return bool(missing)


def _make_room(prepared: Prepared, existing: Deployment | None, observer: Observer) -> None:
    """Remove what has the name."""
    runtime, plan = prepared.runtime, prepared.plan
    if existing is not None:
        if existing.state == "running":
            observer.notice(f"stopping the running `{plan.name}` (plan {existing.plan_hash})")
            runtime.stop(existing, int(existing.plan["stop_grace"]))
        runtime.remove(existing)


def _changes(prepared: Prepared, existing: Deployment, *, attached: bool) -> tuple[Difference, ...]:
    """In what the running one's plan differs; an attached one's has a restart policy of its own."""
    key = prepared.settings.api_key
    changed = () if existing.plan_hash == prepared.plan.hash else differences(existing.plan, prepared.plan.identity())
    if attached:
        changed = tuple(row for row in changed if row[0] != "container.restart")
    if key_changed(prepared.plan, key.get_secret_value() if key else None):
        changed += (("api_key", "********", "another"),)
    return changed


def _differs(prepared: Prepared, changed: tuple[Difference, ...], *, attached: bool) -> PlanDiffersError:
    how = ("--replace", "--attach") if attached else ("--replace",)
    return PlanDiffersError(
        f"`{prepared.plan.name}` is already there, from another plan",
        differences=changed,
        fix=f"{up_command(prepared.settings.to_label(), *how)}   # or another --name and --port",
    )


def _start(prepared: Prepared, wait: bool, observer: Observer, began: float) -> Launched:
    runtime, plan, settings = prepared.runtime, prepared.plan, prepared.settings
    key = settings.api_key.get_secret_value() if settings.api_key else None
    created: Deployment | None = None
    try:
        try:
            with interruption_deferred():
                write_files(plan, key)
                created = runtime.create(plan)
            with interruption_deferred():
                write_key(plan, key)
                created = runtime.start(created)
        except RefusedError:
            remove_files(plan.files_source)
            raise
        observer.started()
        if not wait:
            observer.notice(
                f"not waiting: `stepaudio-serve wait {plan.name}` completes the hand-off (canary, restart policy)"
            )
            return Launched(status_of(runtime, created), already=False)
        return to_ready(runtime, created, settings, observer, began, owner=True)
    except (KeyboardInterrupt, OSError) as error:
        if isinstance(error, OSError) and error.errno is None:  # ours or the SDK's, which are OSErrors by name only
            raise
        if created is not None:
            with interruption_deferred():
                runtime.remove(created)
                remove_files(plan.files_source)
            with suppress(OSError):
                observer.notice(f"interrupted: removed `{plan.name}`, which was being started")
        raise


def _join(prepared: Prepared, existing: Deployment, wait: bool, observer: Observer, began: float) -> Launched:
    """It is there already, from the same plan."""
    if not wait:
        return Launched(status_of(prepared.runtime, existing), already=True)
    if not existing.handed_over:
        observer.notice(f"`{existing.name}` is there already, from the same plan; waiting for it")
    return join(prepared.runtime, existing, prepared.settings, observer, began)
