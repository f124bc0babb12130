"""Ending a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.files import remove_files
from ..startup.interrupt import interruption_deferred
from ..startup.probes import health

if TYPE_CHECKING:
    from ..runtime.deployment import Deployment, Runtime


def grace_for(deployment: Deployment) -> int:
    """Seconds that a deployment gets to finish what is in flight: none while it only starts.

    vLLM does not hear a request to stop before it listens; waiting for it would be waiting for nothing.
    """
    starting = not deployment.handed_over and health(deployment.endpoint) == "unreachable"
    return 0 if starting else int(deployment.plan["stop_grace"])


def down(runtime: Runtime, deployment: Deployment, *, grace: int | None = None) -> None:
    """Stop and remove it, with the files written for it; answers in flight have `grace` seconds (None: `grace_for`).

    The checkpoint and the named cache volume stay.
    """
    if deployment.state == "running":
        runtime.stop(deployment, grace_for(deployment) if grace is None else grace)
    with interruption_deferred():
        runtime.remove(deployment)
        remove_files(deployment.plan["files_source"])
