"""`restart`: down and up with the settings the deployment was started with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from .api_key import key_of
from .down import down
from .own_settings import settings_of
from .prepare import findings_before_start, prepare, refuse
from .up import up

if TYPE_CHECKING:
    from ..runtime.deployment import Deployment, Runtime
    from .hand_over import Launched
    from .observer import Observer


def restart(runtime: Runtime, deployment: Deployment, *, observer: Observer | None = None) -> Launched:
    """Start it again from its own settings; what would refuse the start is found before anything is stopped.

    Raises:
        as `down` and `up` do.
    """
    settings = settings_of(deployment)
    if deployment.plan.get("key_file") and settings.api_key_file is None:
        key = key_of(settings, deployment)
        settings = settings.model_copy(update={"api_key": SecretStr(key) if key else None})
    refuse(findings_before_start(prepare(settings), replacing=deployment))
    down(runtime, deployment)
    return up(settings, observer=observer)
