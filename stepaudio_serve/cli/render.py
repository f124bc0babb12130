"""`render`: the plan as text for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import SettingsCommand, settings_flags, settings_from
from .output import data, notice
from .plan import facts_for


@click.command("render", cls=SettingsCommand, short_help="Write the plan for other tools.")
@click.argument("form", type=click.Choice(["run", "compose"]))
@settings_flags
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Write files there."
)
@click.pass_obj
def command(engine_args: tuple[str, ...], /, *, form: str, output: Path | None, **flags: Any) -> None:
    """Write the plan as a `docker run` line or for `docker compose`."""
    from ..plan.build import make_plan
    from ..render.compose import compose_files
    from ..render.run import run_command, run_files

    settings = settings_from(flags, engine_args).settings
    plan = make_plan(settings, facts_for(settings))
    if output is None:
        data(run_command(plan) if form == "run" else compose_files(plan)["compose.yaml"].rstrip("\n"))
        if plan.files:
            notice("the files that the engine reads are not written by this: -o DIR writes everything")
        return
    files = run_files(plan, output.absolute()) if form == "run" else compose_files(plan)
    for name, text in files.items():
        path = output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        data(str(path))
