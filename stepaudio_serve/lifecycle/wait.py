"""`wait`: until a deployment that somebody started is ready, completing its hand-off."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import UnhealthyError
from ..settings.options import Settings
from ..startup.watch import watch
from .failure import failed_start, failure
from .hand_over import Launched, Moments, canary_for, hand_over
from .observer import Observer
from .status import log_lines, status_of

if TYPE_CHECKING:
    from ..runtime.deployment import Deployment, Runtime


def wait(
    runtime: Runtime, deployment: Deployment, *, timeout: float | None = None, observer: Observer | None = None
) -> Launched:
    """Block until ready; `timeout` in seconds, None: as the deployment's settings say.

    Raises:
        EngineFailedError: it ended. TimedOutError: not ready in time; it is left running.
        UnhealthyError: it was ready once and does not answer now.
    """
    observer = observer or Observer()
    began = time.monotonic()
    settings = Settings.model_validate(dict(deployment.settings))
    settings = settings.model_copy(update={"ready_timeout": timeout} if timeout is not None else {})
    status = status_of(runtime, deployment)
    if deployment.state == "exited":
        raise failed_start(deployment, log_lines(runtime, deployment), "the engine has ended")
    if deployment.handed_over and status.health == "healthy":
        return Launched(status, already=True)
    marked = deployment.handed_over or deployment.plan["container"]["restart"] == "no"
    if marked and status.health == "unhealthy":
        raise UnhealthyError(
            f"`{deployment.name}` runs and does not answer ({status.detail})",
            why=status.diagnosis.cause if status.diagnosis else "",
            fix=f"stepaudio-serve restart {deployment.name}",
        )
    canary = canary_for(settings)
    outcome = watch(
        runtime,
        deployment,
        ready_timeout=settings.ready_timeout,
        stall_timeout=settings.stall_timeout,
        on_line=observer.line,
    )
    if outcome.result != "ready" or outcome.healthy_at is None:
        raise failure(deployment, outcome, settings)
    moments = Moments(began, outcome.healthy_at)
    return replace(hand_over(runtime, deployment, settings, canary, moments, observer), already=True)
