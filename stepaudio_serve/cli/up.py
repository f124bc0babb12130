"""`up`: start a deployment and hand it over."""

from __future__ import annotations

import json
import shlex
import sys
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import click

from .options import SettingsCommand, settings_flags, settings_from
from .output import data, document, duration, notice, paint
from .selection import json_flag

if TYPE_CHECKING:
    from ..lifecycle.hand_over import Launched
    from ..settings.options import Settings


@click.command(
    "up",
    cls=SettingsCommand,
    short_help="Start a deployment and hand over an endpoint that answers.",
    epilog="Arguments after -- go to the engine: stepaudio-serve up -- --enforce-eager",
)
@settings_flags
@click.option("--dry-run", is_flag=True, help="Show the plan and the checks; start nothing.")
@click.option("--attach", is_flag=True, help="Stay, show the log, stop the engine at Ctrl-C.")
@click.option("--no-wait", is_flag=True, help="Return as soon as the engine is started.")
@click.option("--replace", "replace_existing", is_flag=True, help="Replace a deployment that has another plan.")
@json_flag
@click.pass_obj
def command(
    engine_args: tuple[str, ...],
    /,
    *,
    dry_run: bool,
    attach: bool,
    no_wait: bool,
    replace_existing: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Start a deployment and hand over an endpoint that answers.

    Plans, checks, fetches the image where it is missing, starts the engine, follows its start, asks it a
    spoken question, and prints the endpoint.
    """
    from ..lifecycle.up import up

    if attach and (no_wait or as_json or dry_run):
        raise click.UsageError("--attach goes with neither --no-wait nor --json nor --dry-run")
    settings = settings_from(flags, engine_args).settings
    if dry_run:
        return _dry_run(settings, as_json=as_json)
    from .progress import observer_for

    with observer_for(attached=attach) as observer:
        launched = up(settings, replace_existing=replace_existing, wait=not no_wait, observer=observer)
    if as_json:
        document(launched.to_json())
    else:
        _hand_off(launched, settings, to=sys.stderr.write if attach else sys.stdout.write)
    return _attached(launched) if attach else 0


def _dry_run(settings: Settings, *, as_json: bool) -> int:
    from ..lifecycle.prepare import findings_before_start, prepare, refuse
    from .errors import report
    from .plan import show_plan

    prepared = prepare(settings)
    findings = findings_before_start(prepared, replacing=prepared.runtime.find(settings.name))
    if as_json:
        document(prepared.plan.to_json())
    else:
        show_plan(prepared.plan)
    try:
        refuse(findings)
    except Exception as error:  # noqa: BLE001 - the plan is the document; the refusal only adds words and the code
        return report(error, as_json=False)
    for finding in findings:
        notice(finding.what, level=finding.level)
    return 0


def _hand_off(launched: Launched, settings: Settings, *, to: Any) -> None:
    it = launched.status.deployment
    canary = launched.canary
    if canary is not None and not canary.heard:
        answer = (canary.answer or "")[:120]
        notice(
            f"the engine answers, but did not hear what was said: {canary.why}\n  It answered {answer!r}",
            level="warning",
        )
    state = "is ready" if launched.status.phase == "ready" else f"is {launched.status.phase}"
    took = f" after {duration(launched.ready)}" if launched.ready is not None else ""
    if launched.already:
        state = "already runs" if launched.ready is None else "is ready"
    proof = "the sound arrived" if it.engine == "rehearsal" else "it heard the question"
    heard = f", and {proof}" if canary is not None and canary.heard else ""
    key = ' -H "Authorization: Bearer $STEPAUDIO_API_KEY"' if settings.has_key else ""
    clip = shlex.quote(str(files("stepaudio_serve.startup") / "canary.wav"))
    body = json.dumps({"model": it.model, "messages": [{"role": "user", "content": "Say hello."}]})
    name = "" if it.name == "step-audio-r1" else f" --name {it.name}"
    to(
        f"{paint('✓', 'green', sys.stdout)} {paint(it.name, 'bold', sys.stdout)} {state}{took}{heard}\n"
        f"  endpoint  {it.endpoint}/v1\n"
        f"  model     {it.model}{'  (a rehearsal: no model listens)' if it.engine == 'rehearsal' else ''}\n"
        f"  ask       stepaudio-serve ask{name} {clip} 'What is said?'\n"
        f"  curl      curl {it.endpoint}/v1/chat/completions{key} -H 'Content-Type: application/json'"
        f" -d {shlex.quote(body)}\n"
        f"  end       stepaudio-serve down{' ' + it.name if name else ''}\n"
    )


def _attached(launched: Launched) -> int:
    from ..runtime.choose import locate
    from ..startup.interrupt import interruption_deferred

    runtime, deployment = locate(launched.status.deployment.name)
    try:
        for chunk in runtime.logs(deployment, follow=True, tail=0):
            sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
    except KeyboardInterrupt:
        notice("stopping; answers in flight get " + duration(float(deployment.plan["stop_grace"])))
        with interruption_deferred():
            runtime.stop(deployment, int(deployment.plan["stop_grace"]))
        raise
    data("")
    notice(f"the engine has ended (exit code {runtime.wait(deployment).code})", level="warning")
    return 7
