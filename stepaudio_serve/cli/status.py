"""`status`: one deployment or all."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from .output import colour, data, document, duration, notice, row, table
from .selection import json_flag, name_argument, selected_name

if TYPE_CHECKING:
    from ..lifecycle.status import Status

WATCH_SECONDS = 1.0


@click.command("status")
@name_argument
@click.option("--watch", "-w", is_flag=True, help="Show it again every second until Ctrl-C.")
@json_flag
def command(name_given: str | None, name_flag: str | None, watch: bool, as_json: bool) -> int:
    """Show one deployment, or all. Exit code 7 when one that was ready does not answer."""
    if watch and as_json:
        raise click.UsageError("--watch does not go with --json, which prints one document")
    name = selected_name(name_given, name_flag) if name_given or name_flag else None
    while True:
        seen = _look(name)
        if watch and colour(sys.stdout):
            click.clear()
        if as_json:
            document({"deployments": [status.to_json() for status in seen]})
        else:
            _show(seen)
        if not watch:
            return 7 if any(status.health == "unhealthy" for status in seen) else 0
        sys.stdout.flush()
        time.sleep(WATCH_SECONDS)


def _look(name: str | None) -> list[Status]:
    from ..errors import NoSuchDeploymentError
    from ..lifecycle.status import status_of
    from ..runtime.choose import everything, locate

    if name is not None:
        return [status_of(*locate(name))]
    found, unseen = everything()
    if unseen is not None:
        if not found:
            raise unseen
        notice(f"containers could not be looked at: {unseen.what}", level="warning")
    seen = []
    for runtime, deployment in found:
        with suppress(NoSuchDeploymentError):  # taken down since it was listed
            seen.append(status_of(runtime, deployment))
    return seen


def _show(seen: list[Status]) -> None:
    if not seen:
        notice("no deployments; stepaudio-serve up starts one")
        return
    rows = [
        (
            status.deployment.name,
            status.phase,
            status.health,
            status.deployment.endpoint,
            duration(status.uptime),
            status.deployment.runtime,
            status.deployment.engine,
        )
        for status in seen
    ]
    table(rows, ("NAME", "PHASE", "HEALTH", "ENDPOINT", "UP", "RUNTIME", "ENGINE"))
    for status in seen:
        if status.detail:
            data(f"{status.deployment.name}: {status.detail}")
        if status.diagnosis is not None:
            row("fix", status.diagnosis.fix, stream=sys.stdout, whole=True)
