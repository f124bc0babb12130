"""The group of commands. A command's module is imported when the command is used, not before."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from .. import __version__

# The line that help shows for each command, which is imported only when it is used.
SECTIONS = {
    "Run": {
        "up": "Start a deployment and hand over an endpoint that answers.",
        "down": "Stop a deployment and remove it.",
        "restart": "Down and up with the settings it was started with.",
        "wait": "Wait until a deployment is ready.",
    },
    "Look": {
        "status": "Show one deployment, or all.",
        "logs": "Show a deployment's log, also of one that failed.",
        "diagnose": "Explain a log by the catalogue of known failures.",
    },
    "Prepare": {
        "doctor": "Check this machine: what would stop a start, and what to type.",
        "plan": "Show what would be started, and why.",
        "pull": "Fetch the checkpoint and the image.",
        "render": "Write the plan for other tools.",
        "template": "Show, render or check a chat template.",
        "config": "Show, write or explain settings.",
        "profiles": "List or show settings for kinds of machines.",
    },
    "Talk": {
        "ask": "Ask a question about a sound.",
        "chat": "Talk about sounds, turn by turn.",
        "open": "Open the page in the browser.",
    },
}
HELP = """From a model name to an endpoint that has proved it can hear.

Serves Step-Audio-R1, which listens to sound and reasons about it in text, with vLLM in a container:
plans, checks, starts, watches, asks a spoken question, and hands the endpoint over.
"""


class Commands(click.Group):
    """Finds commands by name without importing them for `--help`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the help."""
        return [name for section in SECTIONS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command, without interruption: pydantic would take it for a mistake in the settings' code."""
        from ..startup.interrupt import interruption_deferred

        if cmd_name not in self.list_commands(ctx):
            return None
        with interruption_deferred():
            module = import_module(f".{cmd_name}", __package__)
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, suggesting the nearest name for one that does not exist."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section."""
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))


@click.group(
    cls=Commands,
    help=HELP,
    epilog="Exit codes: 0 done, 1 a bug or no place to write to, 2 usage or settings, 3 refused before starting, "
    "4 failed to start, 5 timed out, 6 no such deployment, 7 unhealthy, 130 interrupted.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", package_name="stepaudio-serve")
def cli() -> None:
    """Stand for the whole program."""


def run(arguments: list[str]) -> int:
    """Run one command; the exit code."""
    if "_STEPAUDIO_SERVE_COMPLETE" in os.environ:  # click's shell completion
        cli.main(arguments, prog_name="stepaudio-serve")
    from .errors import INTERRUPTED, report
    from .output import wants_json

    try:
        from ..startup.interrupt import signals_as_interrupt

        with signals_as_interrupt():
            result = cli.main(arguments, prog_name="stepaudio-serve", standalone_mode=False)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as error:  # the reader of our output has gone, as `| head` does; click exits
        _let_go_of_stdout()
        return INTERRUPTED if isinstance(error.__context__, KeyboardInterrupt) else 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the one place where errors become words
        code = report(error, as_json=wants_json(arguments))
        try:
            sys.stdout.flush()
        except OSError:
            _let_go_of_stdout()
        return code
    return result if isinstance(result, int) else 0


def _let_go_of_stdout() -> None:
    """What is still to be written goes nowhere: Python would complain of it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
