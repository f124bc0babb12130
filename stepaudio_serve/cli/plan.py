"""`plan`: what would be started, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .options import SettingsCommand, settings_flags, settings_from
from .output import data, document, notice
from .selection import json_flag

if TYPE_CHECKING:
    from ..facts.gather import Facts
    from ..plan.plan import Plan
    from ..settings.options import Settings


@click.command("plan", cls=SettingsCommand, short_help="Show what would be started, and why.")
@settings_flags
@json_flag
@click.pass_obj
def command(engine_args: tuple[str, ...], /, *, as_json: bool, **flags: Any) -> int:
    """Show what would be started, and why: the memory estimate, the command, and the notes.

    Works without a container engine and without a checkpoint; what is not known is said. Exit code 3 when
    the estimate says that it does not fit.
    """
    from ..checks.launch import check_launch
    from ..plan.build import make_plan

    settings = settings_from(flags, engine_args).settings
    facts = facts_for(settings)
    plan = make_plan(settings, facts)
    if as_json:
        document(plan.to_json())
    else:
        show_plan(plan)
    findings = check_launch(settings, facts, plan)
    for finding in findings:
        if finding.level in {"warning", "blocker"}:
            notice(f"{finding.what}\n    fix: {finding.fix}" if finding.fix else finding.what, level=finding.level)
    return 3 if plan.memory.fits is False else 0


def facts_for(settings: Settings) -> Facts:
    """Facts with the container engine's where one answers; a plan can be made without."""
    from ..errors import RuntimeUnavailableError
    from ..facts.gather import gather

    if settings.runtime != "docker":
        return gather(settings)
    from ..facts.engine import connect

    try:
        client = connect()
    except RuntimeUnavailableError as error:
        notice(f"planned without a container engine: {error.what}", level="warning")
        return gather(settings)
    return gather(settings, client=client)


def show_plan(plan: Plan) -> None:
    """The plan for people."""
    from ..render.run import run_command

    data(f"{plan.name}: {plan.served_model_name} at {plan.endpoint}, plan {plan.hash}\n")
    _memory(plan)
    data(run_command(plan))
    if plan.notes:
        data("\nNotes")
    for note in plan.notes:
        data(f"  {note.what}\n    {note.why}")


def _memory(plan: Plan) -> None:
    memory = plan.memory
    rows = [
        ("weights, each GPU", memory.weights_gib, "{:.2f} GiB"),
        ("KV cache, each GPU", memory.kv_cache_gib, "{:.2f} GiB"),
        ("KV cache a token", memory.kv_bytes_per_token and memory.kv_bytes_per_token / 1024, "{:.0f} KiB"),
        ("KV cache tokens", memory.kv_tokens, "{:,}"),
        ("full contexts at once", memory.concurrency, "{:.2f}"),
        ("audio in one request", memory.audio_seconds, "{:,.0f} s, leaving 4,096 tokens for the answer"),
    ]
    if plan.engine != "vllm":
        return
    data("Memory (estimated)")
    for label, value, shape in rows:
        data(f"  {label.ljust(22)} {'not known' if value is None else shape.format(value)}")
    data("")
