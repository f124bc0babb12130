"""`restart`: down and up with the settings it was started with."""

from __future__ import annotations

import click

from .output import data, document, duration
from .selection import json_flag, name_argument, selected_name


@click.command("restart")
@name_argument
@json_flag
def command(name_given: str | None, name_flag: str | None, as_json: bool) -> None:
    """Down and up with the settings the deployment was started with."""
    from ..lifecycle.restart import restart
    from ..runtime.choose import locate
    from .progress import observer_for

    runtime, deployment = locate(selected_name(name_given, name_flag))
    with observer_for(attached=False) as observer:
        launched = restart(runtime, deployment, observer=observer)
    if as_json:
        document(launched.to_json())
    else:
        data(f"{deployment.name} is ready again at {deployment.endpoint} after {duration(launched.ready)}")
