"""`plan`: what would be started, and why."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from ..errors import NoSuchDeploymentError, RefusedError, SettingsError
from ..settings.profiles import best_match, load_profile, profile_names
from .memory import show_memory
from .options import Raw, SettingsCommand, facts_flag, settings_flags, settings_from
from .output import data, document, notice, prose, row
from .selection import json_flag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from docker import DockerClient

    from ..facts.gather import Facts
    from ..finding import Finding
    from ..plan.plan import Plan
    from ..settings.options import Settings
    from ..settings.sources import Resolved

OF_THE_MOMENT = {"host", "disk"}
"""Groups of findings that are no part of a plan: free memory and room change from one moment to the next."""
MISSING = "checkpoint-missing"
NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four"}


@click.command("plan", cls=SettingsCommand)
@settings_flags
@facts_flag("Plan for the machine whose facts FILE holds: stepaudio-serve doctor --save-facts FILE.")
@click.option(
    "--for",
    "machine",
    type=Raw(profile_names()),
    metavar="PROFILE",
    help="Plan for a profile's machine, with its settings: stepaudio-serve profiles list.",
)
@json_flag
@click.pass_obj
def command(
    engine_args: tuple[str, ...], /, *, facts_file: Path | None, machine: str | None, as_json: bool, **flags: Any
) -> int:
    """Show what would be started, and why: the memory estimate, the command, and the notes.

    Works without a container engine and without a checkpoint; what is not known is said. Exit code 3 when it does
    not fit, or the hardware cannot run it; what is only missing for now (the checkpoint, a GPU here) leaves it at 0.
    """
    from ..checks.launch import check_launch
    from ..plan.build import make_plan

    _refuse_two_machines(facts_file, machine, flags)
    resolved = settings_from({**flags, **({"profile": machine} if machine else {})}, engine_args)
    settings = resolved.settings
    elsewhere = machine_meant(facts_file, machine)
    client = engine_client(settings) if elsewhere is None else None
    facts = _facts(settings, client) if elsewhere is None else facts_of(settings, *elsewhere)
    plan = make_plan(settings, facts)
    checked = check_launch(settings, facts, plan)
    findings = tuple(_as_planned(found, facts) for found in checked if found.group not in OF_THE_MOMENT)
    measured = None if facts.elsewhere else measured_of(plan, client)
    if as_json:
        document({**plan_document(plan, findings), "machine": facts.elsewhere or None, "measured": measured})
    else:
        show_plan(plan, facts, measured)
    for finding in findings:
        if finding.level in {"warning", "blocker"} or finding.id == MISSING:
            notice(finding.what, level=finding.level)
            row("why", finding.why)
            row("fix", finding.fix, whole=True)
    refused = any(map(_stands_against, findings))
    if machine and (caveat := load_profile(machine).caveat):
        notice(f"{machine}: {caveat}")
    _suggest(facts, resolved)
    return 3 if refused else 0


def _refuse_two_machines(facts_file: Path | None, machine: str | None, flags: dict[str, Any]) -> None:
    other = "--facts" if facts_file else "--profile" if flags.get("profile") else ""
    if machine and other:
        why = "names the machine already" if facts_file else "takes its settings already"
        raise click.UsageError(f"--for {machine} does not go with {other}: --for {why}")


def _as_planned(finding: Finding, facts: Facts) -> Finding:
    """A checkpoint that is not on this disk stands against no start on another machine: there it is a note."""
    return replace(finding, level="note") if facts.elsewhere and finding.id == MISSING else finding


def _stands_against(finding: Finding) -> bool:
    """Whether it would still be so on another day: too little memory, the wrong hardware."""
    lasting = finding.group in {"hardware", "memory"} or finding.id in {"platform", "too-few-gpus"}
    return finding.level == "blocker" and lasting and finding.id != "gpu-busy"


def _suggest(facts: Facts, resolved: Resolved) -> None:
    """The profile made for this machine, where none is used."""
    used = any(origin.source == "profile" for origin in resolved.origins.values())
    fitting = None if used else best_match(facts.gpus.found)
    if fitting:
        notice(f"the profile {fitting} is made for this machine: --profile {fitting}")


def plan_document(plan: Plan, findings: Sequence[Finding]) -> dict[str, Any]:
    """The JSON document of a plan with what the checks found."""
    return {**plan.to_json(), "findings": [asdict(finding) for finding in findings]}


def facts_for(settings: Settings) -> Facts:
    """Facts with the container engine's where one answers; a plan can be made without."""
    return _facts(settings, engine_client(settings))


def _facts(settings: Settings, client: DockerClient | None) -> Facts:
    from ..facts.gather import gather

    return gather(settings, client=client)


def engine_client(settings: Settings) -> DockerClient | None:
    """The container engine's client where these settings need one and it answers."""
    from ..errors import RuntimeUnavailableError
    from ..facts.engine import connect

    if settings.runtime != "docker":
        return None
    try:
        return connect()
    except RuntimeUnavailableError as error:
        notice(f"planned without a container engine: {error.what}", level="warning")
        return None


def machine_meant(facts_file: Path | None, profile: str | None) -> tuple[str, Mapping[str, Any]] | None:
    """Another machine's name and recorded facts; None where this one is meant.

    Raises:
        SettingsError: the file holds no facts, or the profile is for no machine.
    """
    if facts_file is not None:
        from ..facts.recorded import read_facts_file

        return str(facts_file), read_facts_file(facts_file)
    if profile is None:
        return None
    meant = load_profile(profile)
    if not meant.machine:
        raise SettingsError(
            f"the profile {profile} is for no machine in particular",
            why="--for takes GPUs and processor from the profile",
            fix=f"stepaudio-serve plan --profile {profile}",
        )
    return profile, meant.machine


def facts_of(settings: Settings, name: str, recorded: Mapping[str, Any]) -> Facts:
    """This machine's checkpoint and files with another machine's facts; no container engine is asked."""
    from ..facts.gather import gather
    from ..facts.recorded import on_another_machine

    return on_another_machine(gather(settings), recorded, named=name)


def measured_of(plan: Plan, client: DockerClient | None) -> dict[str, Any] | None:
    """What a running deployment from this very plan measured of its memory; `client` of the engine it would be in."""
    if plan.engine != "vllm" or (plan.runtime == "docker" and client is None):
        return None
    from ..lifecycle.readings import memory_of
    from ..runtime.choose import process_runtime
    from ..runtime.docker import DockerRuntime

    with suppress(RefusedError, NoSuchDeploymentError):  # no engine answers, or something foreign has the name
        runtime = DockerRuntime(client) if client is not None else process_runtime()
        found = runtime.find(plan.name)
        if found is not None and found.plan_hash == plan.hash and (memory := memory_of(runtime, found)):
            seen = memory.to_json()
            return {**seen["measured"], "error_percent": seen["error_percent"]} if seen["measured"] else None
    return None


def show_plan(plan: Plan, facts: Facts | None = None, measured: Mapping[str, Any] | None = None) -> None:
    """The plan for people."""
    from ..render.run import run_command

    data(f"{plan.name}: {plan.served_model_name} at {plan.endpoint}, plan {plan.hash}")
    if facts is not None and facts.elsewhere:
        data(f"planned for {facts.elsewhere} ({_cards(facts)}), not this machine")
    data("")
    show_memory(plan, measured)
    data(run_command(plan))
    if plan.files:
        data("(the files it reads are not there yet: `stepaudio-serve render run` writes them and prints this line)")
    if plan.notes:
        data("\nNotes")
    for note in plan.notes:
        data(f"  {prose(note.what, sys.stdout, indent='  ')}\n    {prose(note.why, sys.stdout, indent='    ')}")


def _cards(facts: Facts) -> str:
    counts = Counter(gpu.name.removeprefix("NVIDIA ") or "a GPU" for gpu in facts.gpus.found)
    return ", ".join(f"{NUMBERS.get(count, count)} {name}" for name, count in counts.items()) or "no GPU"
