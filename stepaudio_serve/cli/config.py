"""`config`: show, write or explain settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import SettingsError
from ..settings.declared import options
from ..settings.sources import FILE_NAME, default_files
from .options import SettingsCommand, settings_flags, settings_from
from .output import data, document, table
from .selection import json_flag


@click.group("config")
def command() -> None:
    """Show, write or explain settings."""


@command.command("show", cls=SettingsCommand)
@settings_flags
@json_flag
@click.pass_obj
def show(engine_args: tuple[str, ...], /, *, as_json: bool, **flags: Any) -> None:
    """Show every setting with its value and where it comes from."""
    resolved = settings_from(flags, engine_args)
    values = resolved.settings.model_dump(mode="json")
    if as_json:
        document(
            {
                name: {"value": values[name], "source": origin.source, "place": origin.place}
                for name, origin in resolved.origins.items()
            }
        )
        return
    table(
        [(name, _word(values[name]), origin.place) for name, origin in resolved.origins.items()],
        ("SETTING", "VALUE", "FROM"),
    )


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return " ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)


@command.command("init")
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@json_flag
def init(force: bool, as_json: bool) -> None:
    """Write a stepaudio.yaml here, every setting commented out."""
    path = Path(FILE_NAME)
    if path.exists() and not force:
        raise SettingsError(
            f"{path} is there already", why="it may hold your settings", fix="stepaudio-serve config init --force"
        )
    lines = ["# Settings of stepaudio-serve. Every key is optional; a value given here wins over a profile.", ""]
    for option in options():
        default = _word(list(option.default) if isinstance(option.default, tuple) else option.default)
        choices = f" ({', '.join(option.choices)})" if option.choices else ""
        lines += [f"# {option.help}{choices}", f"#{option.name}: {'' if default == '-' else default}".rstrip(), ""]
    path.write_text("\n".join(lines), "utf-8")
    if as_json:
        document({"path": str(path)})
    else:
        data(str(path))


@command.command("schema")
def schema() -> None:
    """Print the JSON schema of stepaudio.yaml."""
    from ..settings.options import Settings

    document(Settings.model_json_schema())


@command.command("path")
@json_flag
def path(as_json: bool) -> None:
    """Print the files that are read, in order of precedence."""
    if as_json:
        document({"files": [{"path": str(item.absolute()), "exists": item.exists()} for item in default_files()]})
        return
    for item in default_files():
        data(f"{item.absolute()}{'' if item.exists() else '  (not there)'}")
