"""`profiles`: settings for kinds of machines."""

from __future__ import annotations

import sys

import click

from ..settings.profiles import load_profile, profile_names
from .options import Raw
from .output import document, table
from .selection import json_flag


@click.group("profiles")
def command() -> None:
    """List or show settings for kinds of machines; `--profile NAME` uses one."""


@command.command("list")
@json_flag
def list_profiles(as_json: bool) -> None:
    """List the profiles."""
    profiles = [load_profile(name) for name in profile_names()]
    if as_json:
        document({"profiles": [{"name": item.name, "summary": item.summary} for item in profiles]})
    else:
        table([(item.name, item.summary) for item in profiles], ("PROFILE", "FOR"))


@command.command("show")
@click.argument("name", type=Raw(profile_names()))
@json_flag
def show(name: str, as_json: bool) -> None:
    """Print one profile, with its comments."""
    profile = load_profile(name)
    if as_json:
        document({"name": profile.name, "summary": profile.summary, "settings": dict(profile.settings)})
    else:
        sys.stdout.write(profile.text)
