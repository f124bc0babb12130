"""`make serve`: the main job on whatever this machine has.

With Docker and an NVIDIA GPU the real engine is started. Otherwise what is missing is said, and the rehearsal
engine takes its place as a background process: it hears no words, but it takes the same requests and answers
with what it measured. The settings are those of `stepaudio-serve up`, from flags (`make serve ARGS='--port 9998'`),
the environment and stepaudio.yaml.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from stepaudio_serve import Question, Settings, ask, read_recording, up, user_message
from stepaudio_serve.cli.errors import report
from stepaudio_serve.cli.options import SettingsCommand, settings_flags, settings_from
from stepaudio_serve.cli.progress import observer_for
from stepaudio_serve.errors import RuntimeUnavailableError
from stepaudio_serve.facts.engine import connect
from stepaudio_serve.facts.nvml import look_at_gpus
from stepaudio_serve.lifecycle.api_key import key_of
from stepaudio_serve.startup.interrupt import signals_as_interrupt

QUESTION = "What do you hear in this recording?"
REHEARSAL = {"engine": "rehearsal", "runtime": "process"}


def missing(settings: Settings) -> list[str]:
    """What these settings need and this machine lacks, in words."""
    lacks = []
    if settings.runtime == "docker":
        try:
            connect().close()
        except RuntimeUnavailableError as error:
            lacks.append(f"no Docker: {error.what} ({error.why})")
    if settings.engine == "vllm" and settings.gpus != "none":
        gpus = look_at_gpus()
        if not gpus.found:
            lacks.append(f"no NVIDIA GPU: {gpus.absence}")
    return lacks


@click.command(cls=SettingsCommand)
@settings_flags
@click.pass_obj
def command(engine_args: tuple[str, ...], /, **flags: Any) -> None:
    """Start an engine, ask it about a sound, print the answer."""
    settings = settings_from(flags, engine_args).settings
    if lacks := missing(settings):
        settings = settings.model_copy(update=REHEARSAL)
        click.echo("What was asked for cannot run on this machine:")
        for lack in lacks:
            click.echo(f"  - {lack}")
        click.echo("Using the rehearsal engine instead: same endpoint, no model.\n")
    with observer_for(attached=False) as observer:
        launched = up(settings, observer=observer)
    deployment = launched.status.deployment
    clip = Path(str(files("stepaudio_serve.startup") / "canary.wav"))
    answer = ask(
        Question(
            endpoint=deployment.endpoint,
            model=deployment.model,
            messages=[user_message(QUESTION, [read_recording(clip)])],
            api_key=key_of(settings, deployment),
        )
    )
    name = "" if deployment.name == Settings().name else f" --name {deployment.name}"
    click.echo(f"\n{deployment.name} {'already runs' if launched.already else 'is ready'}, in the background")
    click.echo(f"Endpoint: {deployment.endpoint}/v1")
    click.echo(f"Asked:    {QUESTION}  [{clip.name}]")
    click.echo(f"Answer:   {answer.text}")
    click.echo(f"\nAsk it more:  .venv/bin/stepaudio-serve ask{name} FILE.wav 'What is this?'")
    click.echo(f"End it:       .venv/bin/stepaudio-serve down{name}")


def main() -> int:
    """The exit code of `up`, with errors in its words."""
    try:
        with signals_as_interrupt():
            command.main(prog_name=".venv/bin/python tools/serve.py", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - as in the command line
        return report(error, as_json=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
