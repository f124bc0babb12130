"""`render`: the plan as text for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import SettingsError
from .options import SettingsCommand, facts_flag, settings_flags, settings_from
from .output import data, notice
from .plan import facts_for, facts_of, machine_meant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..settings.options import Settings


@click.command("render", cls=SettingsCommand)
@click.argument("form", type=click.Choice(["run", "compose"]))
@settings_flags
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Write files there."
)
@facts_flag("For the machine whose facts FILE holds: stepaudio-serve doctor --save-facts FILE.")
@click.pass_obj
def command(
    engine_args: tuple[str, ...], /, *, form: str, output: Path | None, facts_file: Path | None, **flags: Any
) -> None:
    """Write the plan as a `docker run` line or for `docker compose`.

    Without -o, `render run` prints a line that can be pasted (its files are written where `up` writes them),
    and `render compose` prints compose.yaml alone.
    """
    from ..plan.build import make_plan

    settings = settings_from(flags, engine_args).settings
    _refuse(settings, form)
    elsewhere = machine_meant(facts_file, None)
    facts = facts_for(settings) if elsewhere is None else facts_of(settings, *elsewhere)
    plan = make_plan(settings, facts)
    if form == "run":
        from ..render.run import files_in_place, run_command, run_files

        if output is None:
            _write({str(path): text for path, text in files_in_place(plan).items()})
            data(run_command(plan))
            return
        files = run_files(plan, output.absolute())
    else:
        from ..render.compose import compose_files

        files = compose_files(plan, str(facts.checkpoint.mount_source) if facts.checkpoint.exists else None)
        if output is None:
            data(files["compose.yaml"].rstrip("\n"))
            notice("this is compose.yaml alone: -o DIR writes the files it needs, too")
            return
    files = {str(output / name): text for name, text in files.items()}
    _write(files)
    for path in files:
        data(path)


def _refuse(settings: Settings, form: str) -> None:
    """Raise SettingsError for what the text cannot say."""
    if settings.api_key is not None:
        raise SettingsError(
            "a key is not written into what is rendered",
            why="api_key (or STEPAUDIO_API_KEY) is set; what is rendered reads its key from a file",
            fix=f"stepaudio-serve render {form} --api-key-file FILE   (unset STEPAUDIO_API_KEY)",
        )
    if form == "compose" and settings.runtime == "process":
        raise SettingsError(
            "compose starts containers, and runtime is process",
            fix="stepaudio-serve render compose --runtime docker",
        )


def _write(files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
