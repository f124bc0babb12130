"""Ending a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..facts.host import folders
from ..runtime.files import remove_files
from ..startup.interrupt import interruption_deferred

if TYPE_CHECKING:
    from ..runtime.deployment import Deployment, Runtime


def down(runtime: Runtime, deployment: Deployment, *, grace: int | None = None) -> None:
    """Stop and remove it, with the files written for it. `grace` in seconds; None: as its plan says.

    The checkpoint and the named cache volume stay.
    """
    if deployment.state == "running":
        runtime.stop(deployment, int(deployment.plan["stop_grace"]) if grace is None else grace)
    with interruption_deferred():
        runtime.remove(deployment)
        remove_files(folders().state, deployment.name)
