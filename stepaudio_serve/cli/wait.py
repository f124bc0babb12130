"""`wait`: until ready, for scripts."""

from __future__ import annotations

import click

from .output import data, document
from .selection import json_flag, name_argument, selected_name
from .up import tell_plugin


@click.command("wait")
@name_argument
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Give up then (exit code 5)."
)
@json_flag
def command(name_given: str | None, name_flag: str | None, timeout: float | None, as_json: bool) -> None:
    """Wait until a deployment is ready; one that was started with --no-wait is asked the canary and handed over."""
    from ..lifecycle.wait import wait
    from ..runtime.choose import locate
    from .progress import observer_for

    runtime, deployment = locate(selected_name(name_given, name_flag))
    with observer_for(attached=False) as observer:
        launched = wait(runtime, deployment, timeout=timeout, observer=observer)
    if as_json:
        document(launched.to_json())
    else:
        tell_plugin(launched)
        data(f"{deployment.name} is ready at {deployment.endpoint}")
