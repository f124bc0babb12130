"""The settings as flags."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from ..settings.declared import Option, options
from ..settings.profiles import profile_names
from ..settings.sources import Resolved, default_files, resolve
from .output import notice

if TYPE_CHECKING:
    from collections.abc import Callable

Command = TypeVar("Command", bound="Callable[..., Any]")
PATH_WORDS = {"FILE", "DIR", "FOLDER"}
"""What stands in a flag's help for a path."""


class Raw(click.ParamType[str]):
    """A value that the settings validate themselves; completes the choices, else files where it may be one."""

    name = "text"

    def __init__(self, choices: tuple[str, ...] = (), *, or_file: bool = False) -> None:
        self.choices = choices
        self.or_file = or_file

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The choices that begin as typed."""
        found = [CompletionItem(choice) for choice in self.choices if choice.startswith(incomplete)]
        return found or (file_names(ctx, param, incomplete) if self.or_file else [])


def file_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The shell's own completion of files and folders."""
    return [CompletionItem(incomplete, type="file")]


def _flag(option: Option) -> Callable[[Command], Command]:
    if option.is_switch:
        names = f"{option.flag_name}/--no-{option.flag_name[2:]}"
        shown = "on" if option.default else "off"
        return click.option(names, option.name, default=None, help=f"{option.help} [default: {shown}]")
    default = "" if option.default is None else f" [default: {option.default}]"
    kind = Raw(option.choices, or_file=not PATH_WORDS.isdisjoint(option.metavar.split("|")))
    return click.option(option.flag_name, option.name, type=kind, metavar=option.metavar, help=option.help + default)


class SettingsCommand(click.Command):
    """A command whose help groups the settings as they are declared; what stands after `--` is for the engine."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the engine's arguments as the context's object."""
        at = args.index("--") if "--" in args else len(args)
        ctx.obj = tuple(args[at + 1 :])
        return super().parse_args(ctx, args[:at])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The command's own flags first, then the settings by group."""
        groups = {option.name: option.flag.group for option in options() if option.flag}
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            if row is not None:
                sections.setdefault(groups.get(parameter.name or "", "Options"), []).append(row)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)


def settings_flags(command: Command) -> Command:
    """Add a flag for every setting that has one, and --profile."""
    return settings_flags_for(*(option.name for option in options()))(command)


def settings_flags_for(*names: str) -> Callable[[Command], Command]:
    """Add the flags of some settings, and --profile."""

    def add(command: Command) -> Command:
        for option in reversed([option for option in options() if option.flag and option.name in names]):
            command = _flag(option)(command)
        return click.option(
            "--profile",
            type=Raw(profile_names()),
            metavar="NAME",
            help="Settings for one kind of machine: stepaudio-serve profiles list.",
        )(command)

    return add


def facts_flag(help_text: str) -> Callable[[Command], Command]:
    """Add --facts, the recorded facts of another machine."""
    path = click.Path(dir_okay=False, path_type=Path)
    return click.option("--facts", "facts_file", type=path, metavar="FILE", help=help_text)


def settings_from(values: dict[str, Any], engine_args: tuple[str, ...] = ()) -> Resolved:
    """Resolve the settings of a command from its flags, the environment, files and the profile.

    Raises:
        SettingsError: with every wrong value.
    """
    names = {option.name for option in options() if option.flag}
    flags = {name: value for name, value in values.items() if name in names and value is not None}
    if engine_args:
        flags["engine_args"] = engine_args
    resolved = resolve(flags, environ=os.environ, files=default_files(), profile=values.get("profile"))
    for text in resolved.notices:
        notice(text, level="warning")
    return resolved
