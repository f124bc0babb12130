"""`down`: stop and remove."""

from __future__ import annotations

import click

from .output import data, document, notice
from .selection import json_flag, name_argument, selected_name


@click.command("down")
@name_argument
@click.option("--stop-grace", type=click.IntRange(min=0), metavar="SECONDS", help="Time for answers in flight.")
@json_flag
def command(name_given: str | None, name_flag: str | None, stop_grace: int | None, as_json: bool) -> None:
    """Stop a deployment and remove it. The checkpoint and the compile caches stay."""
    from ..lifecycle.down import down, grace_for
    from ..runtime.choose import locate

    runtime, deployment = locate(selected_name(name_given, name_flag))
    grace = grace_for(deployment) if stop_grace is None else stop_grace
    if deployment.state == "running":
        notice(f"stopping {deployment.name}" + (f"; answers in flight get {grace} s" if grace else ""))
    down(runtime, deployment, grace=grace)
    if as_json:
        document({"name": deployment.name, "removed": True})
    else:
        data(f"{deployment.name} is down")
