"""`template`: show, render or check a chat template."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TextIO

import click

from ..errors import SettingsError
from ..settings.options import CHAT_TEMPLATES
from .options import Raw
from .output import data, document, notice
from .selection import json_flag, only_settings

TEMPLATE = Raw(CHAT_TEMPLATES, or_file=True)
template_option = click.option(
    "--template",
    type=TEMPLATE,
    metavar="official|step-audio-r1|PATH",
    help="Which template [default: the setting chat_template]",
)


@click.group("template")
def command() -> None:
    """Show, render or check a chat template: what the model will see for a conversation."""


def _chosen(template: str | None) -> str:
    return template or only_settings("chat_template").settings.chat_template


@command.command("show")
@template_option
def show(template: str | None) -> None:
    """Print the template's text."""
    from ..plan.chat_template import load_template

    sys.stdout.write(load_template(_chosen(template)).source)


@command.command("render")
@template_option
@click.option("--no-generation-prompt", is_flag=True, help="Do not open the assistant's turn.")
@click.argument("conversation", type=click.File("r", encoding="utf-8"), metavar="FILE|-")
def render(template: str | None, no_generation_prompt: bool, conversation: TextIO) -> None:
    """Print exactly the prompt for a conversation, nothing added.

    The conversation is JSON: {"messages": [...], "tools": [...]}.
    """
    from ..plan.chat_template import load_template
    from ..plan.chat_template import render as render_prompt

    try:
        document_ = json.load(conversation)
    except ValueError as error:
        raise SettingsError(f"{conversation.name} is not JSON", why=str(error), fix='{"messages": []}') from error
    prompt = render_prompt(load_template(_chosen(template)), document_, add_generation_prompt=not no_generation_prompt)
    sys.stdout.write(prompt)


@command.command("check")
@click.option("--template", "template_flag", type=TEMPLATE, metavar="NAME|PATH", help="Which template.")
@click.argument("template_given", type=TEMPLATE, metavar="[NAME|PATH]", required=False)
@json_flag
def check(template_flag: str | None, template_given: str | None, as_json: bool) -> int:
    """Check that the engine will understand a template.

    Exit code 3 on a blocker.
    """
    from ..plan.chat_template import check as check_template
    from ..plan.chat_template import load_template

    template = load_template(_chosen(template_given or template_flag))
    findings = check_template(template)
    ok = all(finding.level != "blocker" for finding in findings)
    if as_json:
        document({"findings": [asdict(finding) for finding in findings], "ok": ok})
        return 0 if ok else 3
    for finding in findings:
        line = finding.what if finding.level == "ok" else f"{finding.what}: {finding.why}"
        notice(line, level=finding.level, stream=sys.stdout)
    data(f"{template.name}: {'usable' if ok else 'not usable'}")
    return 0 if ok else 3
