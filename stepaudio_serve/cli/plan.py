"""`plan`: what would be started, and why."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from .options import SettingsCommand, settings_flags, settings_from
from .output import data, document, notice, prose, row
from .selection import json_flag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..facts.gather import Facts
    from ..finding import Finding
    from ..plan.plan import Plan
    from ..settings.options import Settings


@click.command("plan", cls=SettingsCommand)
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
    findings = check_launch(settings, facts, plan)
    if as_json:
        document(plan_document(plan, findings))
    else:
        show_plan(plan)
    for finding in findings:
        if finding.level in {"warning", "blocker"}:
            notice(finding.what, level=finding.level)
            row("fix", finding.fix, whole=True)
    return 3 if plan.memory.fits is False else 0


def plan_document(plan: Plan, findings: Sequence[Finding]) -> dict[str, Any]:
    """The JSON document of a plan with what the checks found."""
    return {**plan.to_json(), "findings": [asdict(finding) for finding in findings]}


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
    if plan.files:
        data("(the files it reads are not there yet: `stepaudio-serve render run` writes them and prints this line)")
    if plan.notes:
        data("\nNotes")
    for note in plan.notes:
        data(f"  {prose(note.what, sys.stdout, indent='  ')}\n    {prose(note.why, sys.stdout, indent='    ')}")


def _memory(plan: Plan) -> None:
    from ..plan.memory import ANSWER_TOKENS

    memory = plan.memory
    answer = f"leaving {ANSWER_TOKENS:,} tokens for the answer"
    rows = [
        ("weights, each GPU", memory.weights_gib, "{:.2f} GiB"),
        ("KV cache, each GPU", memory.kv_cache_gib, "{:.2f} GiB"),
        ("KV cache a token", memory.kv_bytes_per_token and memory.kv_bytes_per_token / 1024, "{:.0f} KiB"),
        ("KV cache tokens", memory.kv_tokens, "{:,}"),
        ("full contexts at once", memory.concurrency, "{:.2f}"),
        ("audio in one request", memory.audio_seconds, f"{{:,.0f}} s, {answer}"),
    ]
    if plan.engine != "vllm":
        return
    data("Memory (estimated)")
    if memory.unknown:
        data(f"  {prose(memory.unknown, sys.stdout, indent='  ')}")
    for label, value, shape in rows:
        data(f"  {label.ljust(22)} {'not known' if value is None else shape.format(value)}")
    data("")
