"""The flags that many commands share: --json, and which deployment is meant."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..settings.sources import Resolved

Command = TypeVar("Command", bound="Callable[..., Any]")


def json_flag(command: Command) -> Command:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")(command)


def name_flag(parameter: str) -> Callable[[Command], Command]:
    """Add --name, which completes the deployments that there are."""
    return click.option(
        "--name", parameter, metavar="NAME", help="Name of the deployment.", shell_complete=_deployment_names
    )


def name_argument(command: Command) -> Command:
    """Select a deployment: NAME or --name."""
    command = name_flag("name_flag")(command)
    return click.argument("name_given", metavar="[NAME]", required=False, shell_complete=_deployment_names)(command)


def selected_name(name_given: str | None, name_flag: str | None) -> str:
    """The name that was meant: argument, flag, environment, file, default.

    Raises:
        click.UsageError: argument and flag differ. SettingsError: the name is malformed.
    """
    if name_given and name_flag and name_given != name_flag:
        raise click.UsageError(f"two names were given: {name_given} and {name_flag}")
    given = name_given or name_flag
    if given:
        from ..settings.sources import resolve

        return resolve({"name": given}).settings.name
    return only_settings("name").settings.name


def only_settings(*names: str) -> Resolved:
    """Some settings from where they are set; a wrong value of any other is no obstacle.

    Raises:
        SettingsError: one of them has a wrong value, or a file cannot be read.
    """
    from ..settings.sources import default_files, resolve

    return resolve(environ=os.environ, files=default_files(), only=names)


def _deployment_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The deployments whose names begin as typed: none, without a word, where they cannot be looked at."""
    from ..runtime.choose import everything

    try:
        found, _ = everything()
    except Exception:  # noqa: BLE001 - a shell that completes shows no errors
        return []
    return sorted({item.name for _, item in found if item.name.startswith(incomplete)})
