"""`wait`: until a deployment that somebody started is ready, completing its hand-off."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..runtime.deployment import find_settled, gone
from .observer import Observer
from .own_settings import settings_of
from .ready import join

if TYPE_CHECKING:
    from ..runtime.deployment import Deployment, Runtime
    from .hand_over import Launched


def wait(
    runtime: Runtime, deployment: Deployment, *, timeout: float | None = None, observer: Observer | None = None
) -> Launched:
    """Block until ready; `timeout` in seconds, None: as the deployment's settings say.

    One that is healthy and was not handed over, because nobody waited for it or because it did not answer the
    canary as it should, is asked again.

    Raises:
        SettingsError: another version started it.
        EngineFailedError: it ended. TimedOutError: not ready in time; it is left running.
        UnhealthyError: it was ready once and does not answer now, or it did not answer the canary as it should.
        NoSuchDeploymentError: it was taken down meanwhile.
    """
    began = time.monotonic()
    settings = settings_of(deployment)
    settings = settings.model_copy(update={"ready_timeout": timeout} if timeout is not None else {})
    settled = find_settled(runtime, deployment.name)
    if settled is None:
        raise gone(deployment)
    return join(runtime, settled, settings, observer or Observer(), began)
