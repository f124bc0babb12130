"""`logs`: what the engine printed."""

from __future__ import annotations

import re
import sys
import time
from datetime import datetime, timezone

import click

from .selection import name_argument, selected_name

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.command("logs")
@name_argument
@click.option("-f", "--follow", is_flag=True, help="Go on as the engine prints.")
@click.option("--since", metavar="TIME", help="Only from then on: 10m, 2h, or 2026-01-31T12:00:00.")
@click.option("-n", "--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
def command(name_given: str | None, name_flag: str | None, follow: bool, since: str | None, tail: int | None) -> None:
    """Show a deployment's log, also of one that failed."""
    from ..runtime.choose import locate

    moment = moment_of(since) if since else None
    runtime, deployment = locate(selected_name(name_given, name_flag))
    for chunk in runtime.logs(deployment, follow=follow, tail=tail, since=moment):
        sys.stdout.buffer.write(chunk)
        if follow:
            sys.stdout.flush()


def moment_of(text: str) -> float:
    """Seconds since the epoch of `10m` (ago) or of a date and time.

    Raises:
        click.BadParameter: it is neither.
    """
    ago = re.fullmatch(r"(\d+)([smhd])", text)
    if ago:
        return time.time() - int(ago[1]) * UNITS[ago[2]]
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise click.BadParameter(f"{text!r} is neither like 10m nor like 2026-01-31T12:00:00") from None
    return (moment if moment.tzinfo else moment.astimezone(timezone.utc)).timestamp()
