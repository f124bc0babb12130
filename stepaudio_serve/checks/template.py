"""The chat template: what `template check` says of the user's own; those that ship are known to be right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..finding import Finding
from ..plan.chat_template import ChatTemplate, check
from ..settings.options import CHAT_TEMPLATES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..facts.gather import Facts
    from ..settings.options import Settings


def check_template(settings: Settings, facts: Facts) -> Iterator[Finding]:
    """What is wrong with it, or that nothing is."""
    if settings.chat_template in CHAT_TEMPLATES:
        yield Finding("template", "template", "ok", f"{settings.chat_template} (ships with the program)")
        return
    template = ChatTemplate(settings.chat_template, facts.chat_template, facts.chat_template_path)
    tried = check(template)
    yield from (finding for finding in tried if finding.level != "ok")
    good = sum(finding.level == "ok" for finding in tried)
    if good == len(tried):
        yield Finding("template", "template", "ok", f"{settings.chat_template} passes all {good} trials")
