"""The flags that many commands share: --json, and which deployment is meant."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

Command = TypeVar("Command", bound="Callable[..., Any]")


def json_flag(command: Command) -> Command:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")(command)


def name_argument(command: Command) -> Command:
    """Select a deployment: NAME or --name."""
    command = click.option("--name", "name_flag", metavar="NAME", help="Name of the deployment.")(command)
    return click.argument("name_given", metavar="[NAME]", required=False)(command)


def selected_name(name_given: str | None, name_flag: str | None) -> str:
    """The name that was meant: argument, flag, environment, file, default.

    Raises:
        click.UsageError: argument and flag differ. SettingsError: the name is malformed.
    """
    if name_given and name_flag and name_given != name_flag:
        raise click.UsageError(f"two names were given: {name_given} and {name_flag}")
    given = name_given or name_flag
    flags = {"name": given} if given else {}
    from ..settings.sources import default_files, resolve

    return resolve(flags, environ=os.environ, files=default_files()).settings.name
