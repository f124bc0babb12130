"""Findings of the checks over facts that are values."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from support.facts import checkpoint, facts

from stepaudio_serve.checks.launch import Here, check_launch
from stepaudio_serve.plan.build import make_plan
from stepaudio_serve.settings.options import Settings

if TYPE_CHECKING:
    from stepaudio_serve.facts.gather import Facts
    from stepaudio_serve.finding import Finding

TOKENS = (("<|BOT|>", 1), ("<|EOT|>", 2), ("<audio_patch>", 3), ("<audio_start>", 4), ("<audio_end>", 5))
R1 = checkpoint(special_ids=TOKENS, generation_config={})
MACHINE = facts(31.36, checkpoint=R1)


def found_in(facts_: Facts = MACHINE, here: Here | None = None, **settings: Any) -> dict[str, Finding]:
    """Every finding by its id."""
    wanted = Settings(**settings)
    found = check_launch(wanted, facts_, make_plan(wanted, facts_), here)
    return {finding.id: finding for finding in found}


def levels(facts_: Facts = MACHINE, **settings: Any) -> dict[str, str]:
    """Warnings and blockers."""
    found = found_in(facts_, **settings).items()
    return {name: finding.level for name, finding in found if finding.level in {"warning", "blocker"}}


def blocker(facts_: Facts = MACHINE, **settings: Any) -> Finding:
    """The one blocker; it has a reason and something to type."""
    (one,) = [finding for finding in found_in(facts_, **settings).values() if finding.level == "blocker"]
    assert one.what
    assert one.why
    assert one.fix
    return one


def with_checkpoint(**changes: Any) -> Facts:
    """A card that holds R1, and R1 with changes."""
    return replace(MACHINE, checkpoint=replace(R1, **changes))
