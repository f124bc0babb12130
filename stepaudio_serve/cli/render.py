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
    from ..render.run import run_files

    settings = settings_from(flags, engine_args).settings
    plan = make_plan(settings, facts_for(settings))
    files = run_files(plan) if form == "run" else compose_files(plan)
    if output is None:
        data(files[next(iter(files))].rstrip("\n"))
        if len(files) > 1:
            notice(f"with {', '.join(list(files)[1:])} beside it: -o DIR writes them all")
        return
    for name, text in files.items():
        path = output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        data(str(path))
