"""From a started engine to its hand-off, for whoever started it and for whoever finds it there."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import UnhealthyError
from ..runtime.deployment import gone
from ..startup.watch import watch
from .failure import failed_start, failure
from .hand_over import Launched, Moments, canary_for, hand_over
from .status import ASKED_TO_END, log_lines, status_of, with_plugin

if TYPE_CHECKING:
    from ..runtime.deployment import Deployment, Runtime
    from ..settings.options import Settings
    from .observer import Observer

FAILED_STOP_GRACE = 5
"""Seconds for an engine that was not ready in time: it has no answers to finish."""
REMOVAL_SECONDS = 1.0
"""From the end of an engine that `down` stops to its removal: Docker takes a tenth of that."""


def to_ready(
    runtime: Runtime, deployment: Deployment, settings: Settings, observer: Observer, began: float, *, owner: bool
) -> Launched:
    """Watch the start, ask the canary, hand over; one that this command started and that is too slow is stopped.

    Raises:
        NoSuchDeploymentError: it was taken down meanwhile.
        EngineFailedError, TimedOutError, UnhealthyError: as `up` does.
    """
    canary = canary_for(settings)
    outcome = watch(
        runtime,
        deployment,
        ready_timeout=settings.ready_timeout,
        stall_timeout=settings.stall_timeout,
        on_line=observer.line,
    )
    if outcome.result == "ready" and outcome.healthy_at is not None:
        moments = Moments(began, outcome.healthy_at)
        return hand_over(runtime, deployment, settings, canary, moments, observer)
    if outcome.exit is not None and outcome.exit.code in ASKED_TO_END and _is_removed(runtime, deployment):
        raise gone(deployment)
    if outcome.result != "failed" and owner:
        runtime.stop(deployment, FAILED_STOP_GRACE)
    raise failure(deployment, outcome, settings, owner=owner)


def join(runtime: Runtime, deployment: Deployment, settings: Settings, observer: Observer, began: float) -> Launched:
    """It is there already: say so, or complete its hand-off, which somebody else may be about to do too.

    Raises:
        EngineFailedError: it ended. TimedOutError: not ready in time; it is left running.
        UnhealthyError: it was ready once and does not answer now, or it did not answer the canary as it should.
    """
    if deployment.state == "exited":
        raise failed_start(deployment, log_lines(runtime, deployment), "the engine has ended")
    status = status_of(runtime, deployment)
    if status.health == "healthy" and deployment.handed_over:
        return Launched(with_plugin(runtime, status, settings), already=True)
    marked = deployment.handed_over or deployment.plan["container"]["restart"] == "no"
    if marked and status.health == "unhealthy":
        raise UnhealthyError(
            f"`{deployment.name}` runs and does not answer ({status.detail})",
            why=status.diagnosis.cause if status.diagnosis else "",
            fix=f"stepaudio-serve restart {deployment.name}",
        )
    return replace(to_ready(runtime, deployment, settings, observer, began, owner=False), already=True)


def _is_removed(runtime: Runtime, deployment: Deployment) -> bool:
    until = time.monotonic() + REMOVAL_SECONDS
    while (now := runtime.find(deployment.name)) is not None and now.id == deployment.id:
        if time.monotonic() >= until:
            return False
        time.sleep(0.05)
    return True
