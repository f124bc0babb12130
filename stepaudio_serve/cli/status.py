"""`status`: one deployment or all."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from .memory import error_words
from .output import colour, data, document, duration, notice, row, table
from .selection import json_flag, name_argument, selected_name

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    from ..lifecycle.status import closely, status_of
    from ..runtime.choose import everything, locate

    if name is not None:
        runtime, deployment = locate(name)
        return [closely(runtime, status_of(runtime, deployment))]
    found, unseen = everything()
    if unseen is not None:
        if not found:
            raise unseen
        notice(f"containers could not be looked at: {unseen.what}", level="warning")
    seen = []
    for runtime, deployment in found:
        with suppress(NoSuchDeploymentError):  # taken down since it was listed
            seen.append(closely(runtime, status_of(runtime, deployment)))
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
        for said in filter(None, (status.detail, *_readings(status))):
            data(f"{status.deployment.name}: {said}")
        if status.diagnosis is not None:
            row("fix", status.diagnosis.fix, stream=sys.stdout, whole=True)


def _readings(status: Status) -> Iterator[str]:
    """What it takes and has to do, a line each."""
    memory = status.memory
    if memory is not None and memory.measured is not None:
        yield f"KV cache {error_words(memory.measured.kv_tokens, memory.error_percent)}"
    elif memory is not None and memory.predicted.get("kv_tokens") is not None:
        yield f"KV cache {memory.predicted['kv_tokens']:,} tokens predicted, not measured yet"
    for gpu in status.gpus:
        total, free = gpu.memory_total_mib, gpu.memory_free_mib
        taken = "" if total is None or free is None else f"{(total - free) / 1024:.1f} of {total / 1024:.1f} GiB taken"
        heat = "" if gpu.temperature_c is None else f"{gpu.temperature_c} °C"
        power = "" if gpu.power_w is None else f"{gpu.power_w:.0f} W"
        yield f"GPU {gpu.index} {', '.join(filter(None, (gpu.name, taken, heat, power)))}"
    plugin = status.plugin
    if plugin is not None and plugin.loaded is not None:
        yield f"Step-Audio plugin {plugin.version}" if plugin.loaded else "Step-Audio plugin: not shown by its log"
    if status.requests is not None:
        yield f"requests: {status.requests.running} running, {status.requests.waiting} waiting"
