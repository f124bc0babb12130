"""`up`: start a deployment and hand it over."""

from __future__ import annotations

import json
import os
import shlex
import sys
from contextlib import suppress
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TextIO

import click

from .fetching import missing_in_words
from .options import SettingsCommand, settings_flags, settings_from
from .output import data, document, duration, notice
from .selection import json_flag

if TYPE_CHECKING:
    from ..lifecycle.hand_over import Launched
    from ..runtime.deployment import Deployment, Runtime
    from ..settings.options import Settings


@click.command(
    "up",
    cls=SettingsCommand,
    epilog="Arguments after -- go to the engine: stepaudio-serve up -- --enforce-eager",
)
@settings_flags
@click.option("--dry-run", is_flag=True, help="Show the plan and the checks; start nothing.")
@click.option("--attach", is_flag=True, help="Stay, show the log, stop the engine at Ctrl-C.")
@click.option("--no-wait", is_flag=True, help="Return as soon as the engine is started.")
@click.option("--yes", "-y", "assume_yes", is_flag=True, help="Fetch what is missing without asking.")
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
    assume_yes: bool,
    replace_existing: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Start a deployment and hand over an endpoint that answers.

    Plans, checks, fetches what is missing (after asking, on a terminal), starts the engine, follows its start,
    asks it a spoken question, and prints the endpoint.
    """
    from ..lifecycle.up import up

    if attach and (no_wait or as_json or dry_run):
        raise click.UsageError("--attach goes with neither --no-wait nor --json nor --dry-run")
    settings = settings_from(flags, engine_args).settings
    at_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    if dry_run:
        return _dry_run(settings, as_json=as_json, fetch=assume_yes or at_terminal)
    from .progress import observer_for

    launched = None
    try:
        with observer_for(attached=attach) as observer:
            observer.asks = at_terminal and not assume_yes
            launched = up(
                settings,
                replace_existing=replace_existing,
                wait=not no_wait,
                attached=attach,
                fetch=assume_yes or at_terminal,
                observer=observer,
            )
        if attach:
            _hand_off(launched, settings, stream=sys.stderr)
            return _attached(launched)
    except (KeyboardInterrupt, BrokenPipeError) as error:  # also a reader that has left, as with `| head`
        if attach and launched is not None:
            _leave(launched)
        raise KeyboardInterrupt from error
    if as_json:
        document(launched.to_json())
    elif no_wait and launched.status.phase != "ready":
        _not_yet(launched)
    else:
        _hand_off(launched, settings, stream=sys.stdout)
    return 0


def _dry_run(settings: Settings, *, as_json: bool, fetch: bool) -> int:
    from ..lifecycle.fetch import CURED_BY_FETCHING, can_be_fetched, look_for_missing, offering_to_fetch
    from ..lifecycle.prepare import existing_deployment, findings_before_start, prepare, refuse
    from .errors import report
    from .plan import plan_document, show_plan

    prepared = prepare(settings)
    findings = findings_before_start(prepared, replacing=existing_deployment(prepared))
    if as_json:
        document(plan_document(prepared.plan, findings))
    else:
        show_plan(prepared.plan)
    fetchable = can_be_fetched(settings, prepared.facts.checkpoint)
    if fetchable and not fetch:
        findings = offering_to_fetch(findings)
    fetch = fetch and fetchable
    findings = tuple(finding for finding in findings if not (fetch and finding.id in CURED_BY_FETCHING))
    try:
        refuse(findings)
        missing = look_for_missing(prepared, checkpoint=fetch)
    except Exception as error:  # noqa: BLE001 - the plan is the document; the refusal only adds words and the code
        return report(error, as_json=False)
    for line in missing_in_words(missing):
        notice(f"would be fetched: {line}")
    for finding in findings:
        if finding.level != "ok":
            notice(finding.what, level=finding.level)
    return 0


def _not_yet(launched: Launched) -> None:
    """What can be done with one that does not answer yet."""
    it = launched.status.deployment
    notice(f"{it.name} is starting", stream=sys.stdout)
    data(
        f"  wait      stepaudio-serve wait {it.name}\n"
        f"  log       stepaudio-serve logs -f {it.name}\n"
        f"  end       stepaudio-serve down {it.name}"
    )


def _hand_off(launched: Launched, settings: Settings, *, stream: TextIO) -> None:
    it = launched.status.deployment
    canary = launched.canary
    if canary is not None and not canary.heard:
        answer = (canary.answer or "")[:120]
        notice(
            f"the engine answers, but did not hear what was said: {canary.why}\n  It answered {answer!r}",
            level="warning",
        )
    tell_plugin(launched)
    state = "is ready"
    took = f" after {duration(launched.ready)}" if launched.ready is not None else ""
    if launched.already:
        state = "already runs" if launched.ready is None else "is ready"
    proof = "the sound arrived" if it.engine == "rehearsal" else "it heard the question"
    heard = f", and {proof}" if canary is not None and canary.heard else ""
    key = f' -H "Authorization: Bearer {_key_in_a_shell(it, settings)}"' if settings.has_key else ""
    clip = shlex.quote(str(files("stepaudio_serve.startup") / "canary.wav"))
    body = json.dumps({"model": it.model, "messages": [{"role": "user", "content": "Say hello."}]})
    name = "" if it.name == "step-audio-r1" else f" --name {it.name}"
    page = f"  page      {it.endpoint}/\n" if settings.guard and settings.guard_page else ""
    notice(f"{it.name} {state}{took}{heard}", level="ok", stream=stream)
    stream.write(
        f"  endpoint  {it.endpoint}/v1\n"
        f"  model     {it.model}{'  (a rehearsal: no model listens)' if it.engine == 'rehearsal' else ''}\n"
        f"{page}"
        f"  ask       stepaudio-serve ask{name} {clip} 'What is said?'\n"
        f"  curl      curl {it.endpoint}/v1/chat/completions{key} -H 'Content-Type: application/json'"
        f" -d {shlex.quote(body)}\n"
        f"  end       stepaudio-serve down{' ' + it.name if name else ''}\n"
    )


def tell_plugin(launched: Launched) -> None:
    """A warning where the engine was given our plugin and does not show it; the spoken question has its own word."""
    plugin = launched.status.plugin
    if plugin is not None and plugin.doubt:
        name = launched.status.deployment.name
        notice(f"{plugin.doubt}\n  fix  stepaudio-serve logs {name} | grep -i plugin", level="warning")


def _key_in_a_shell(deployment: Deployment, settings: Settings) -> str:
    """Where a shell takes the key from: the variable if it is set, else the file that the engine reads."""
    path = deployment.plan.get("key_file")
    if path is None or (settings.api_key is not None and os.environ.get("STEPAUDIO_API_KEY")):
        return "$STEPAUDIO_API_KEY"
    return f"$(head -n1 {shlex.quote(path)})"


def _attached(launched: Launched) -> int:
    """Show the log until it ends."""
    from ..runtime.choose import locate

    runtime, deployment = locate(launched.status.deployment.name)
    for chunk in runtime.logs(deployment, follow=True, tail=0):
        sys.stdout.buffer.write(chunk)
        sys.stdout.flush()
    return _after_log(runtime, deployment)


def _leave(launched: Launched) -> None:
    """Whoever started the engine stops it; others only leave."""
    from ..runtime.choose import locate
    from ..startup.interrupt import interruption_deferred

    runtime, deployment = locate(launched.status.deployment.name)
    name, grace = deployment.name, int(deployment.plan["stop_grace"])
    if launched.already:
        notice(f"{name} runs on; `stepaudio-serve down {name}` ends it")
        return
    with suppress(OSError):
        notice(f"stopping {name}; answers in flight get {duration(float(grace))}")
    with interruption_deferred():
        runtime.stop(deployment, grace)
    notice(f"{name} is stopped, and kept with its log; `stepaudio-serve down {name}` removes it")


def _after_log(runtime: Runtime, deployment: Deployment) -> int:
    from ..runtime.deployment import gone

    data("")
    name, now = deployment.name, runtime.find(deployment.name)
    if now is None or now.id != deployment.id:
        raise gone(deployment)
    if now.state == "running" and now.handed_over:
        notice(f"the engine ended and is restarted; `stepaudio-serve logs -f {name}` goes on", level="warning")
    else:
        notice(f"the engine has ended (exit code {runtime.wait(deployment).code})", level="warning")
    return 7
