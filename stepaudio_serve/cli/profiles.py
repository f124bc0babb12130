"""`profiles`: settings for kinds of machines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from ..settings.profiles import load_profile, profile_names
from .options import Raw
from .output import document, notice, table
from .selection import json_flag

if TYPE_CHECKING:
    from ..plan.memory import MemoryBudget
    from ..settings.profiles import Profile


@click.group("profiles")
def command() -> None:
    """List or show settings for kinds of machines; `--profile NAME` uses one."""


@command.command("list")
@json_flag
def list_profiles(as_json: bool) -> None:
    """List the profiles, and what each holds."""
    profiles = [load_profile(name) for name in profile_names()]
    if as_json:
        document({"profiles": [_described(profile) for profile in profiles]})
        return
    table([(item.name, item.summary, _holds(item)) for item in profiles], ("PROFILE", "FOR", "HOLDS, ESTIMATED"))
    for profile in profiles:
        if profile.caveat:
            notice(f"{profile.name}: {profile.caveat}", stream=sys.stdout)


@command.command("show")
@click.argument("name", type=Raw(profile_names()))
@json_flag
def show(name: str, as_json: bool) -> None:
    """Print one profile, with its comments."""
    profile = load_profile(name)
    if as_json:
        document({**_described(profile), "settings": dict(profile.settings)})
    else:
        sys.stdout.write(profile.text)


def _described(profile: Profile) -> dict[str, Any]:
    memory = memory_of(profile)
    return {
        "name": profile.name,
        "summary": profile.summary,
        "machine": dict(profile.machine) or None,
        "refused": None,  # no machine is any more; kept for those who read it
        "caveat": profile.caveat or None,
        "holds": memory
        and {
            "fits": memory.fits,
            "kv_tokens": memory.kv_tokens,
            "max_model_len": memory.max_model_len,
            "concurrency": memory.concurrency,
        },
    }


def _holds(profile: Profile) -> str:
    """Whole contexts at once, and how long they are."""
    memory = memory_of(profile)
    if memory is None or memory.concurrency is None:
        return "-"
    return f"{int(memory.concurrency)} x {memory.max_model_len:,} tokens"


def memory_of(profile: Profile) -> MemoryBudget | None:
    """The estimate for a profile's machine with the published figures of its checkpoint; None without a machine."""
    if not profile.machine:
        return None
    from pathlib import Path

    from ..facts.checkpoint import Checkpoint
    from ..facts.checkpoint.published import as_published
    from ..facts.recorded import gpus_of
    from ..plan.sizing import choose_sizes
    from ..settings.options import Settings

    settings = Settings.model_validate(profile.settings)
    path = Path(settings.model)
    absent = Checkpoint(settings.model, path, path, "", exists=False, is_repository=True)
    return choose_sizes(settings, as_published(absent), gpus_of(profile.machine, named=profile.name)).memory
