"""All checks, in the order in which they are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..finding import Finding
from .address import PortUse, check_key_file, check_port, check_reach
from .checkpoint import check_checkpoint
from .deployment import NameUse, check_name, check_program
from .disk import check_disks
from .engine import check_engine
from .engine_choice import check_choice
from .gpu import check_gpus
from .hardware import check_hardware
from .host import check_host
from .image import check_image
from .memory import check_memory
from .plugin import check_plugin
from .recipe import check_recipe
from .template import check_template

if TYPE_CHECKING:
    from ..facts.gather import Facts
    from ..plan.plan import Plan
    from ..settings.options import Settings

GROUPS = ("host", "engine", "gpu", "hardware", "image", "disk", "checkpoint", "template", "memory", "address")
"""What findings are grouped by, in the order of the checks."""


@dataclass(frozen=True, slots=True)
class Here:
    """What was looked at on this machine for one start, and is no part of a plan: the port, the name, the key file.

    `missing_program` is what a child process would be started from and is not on PATH. `plugin_loaded` is what the log
    of the running deployment tells, None where that was not looked at or does not tell. `unseen` says why nothing of
    all this could be looked at, if so.
    """

    port: PortUse | None = None
    name: NameUse = field(default_factory=NameUse)
    key_file_problem: str = ""
    missing_program: str = ""
    plugin_loaded: bool | None = None
    unseen: str = ""


def check_launch(settings: Settings, facts: Facts, plan: Plan, here: Here | None = None) -> tuple[Finding, ...]:
    """Every finding of every check, what is good included, grouped in the order of `GROUPS`.

    Pure. Without `here` nothing is said of the port, the name and the key file: a plan may be for later or for
    another machine.
    """
    found = (
        *check_host(facts),
        *check_engine(settings, facts, plan),
        *check_recipe(settings),
        *(check_name(plan, here.name) if here else ()),
        *(check_program(here.missing_program) if here else ()),
        *check_gpus(settings, facts),
        *check_hardware(settings, facts, plan),
        *check_choice(settings, facts),
        *check_plugin(settings, facts, plan, loaded=here.plugin_loaded if here else None),
        *check_image(settings, facts, plan),
        *check_disks(settings, facts, plan),
        *check_checkpoint(settings, facts),
        *check_template(settings, facts),
        *check_memory(settings, facts, plan, replacing=here is not None and here.name.state == "running"),
        *check_reach(settings),
        *(_of_this_start(settings, here) if here else ()),
    )
    return tuple(sorted(found, key=lambda finding: GROUPS.index(finding.group)))


def _of_this_start(settings: Settings, here: Here) -> tuple[Finding, ...]:
    path = settings.api_key_file
    if here.unseen:
        return (
            Finding(
                "not-looked-at",
                "address",
                "warning",
                "the port, the name and the key file could not be looked at",
                here.unseen,
                "stepaudio-serve doctor   # again",
            ),
        )
    return (
        *(check_key_file(str(path), here.key_file_problem) if path else ()),
        *(check_port(settings, here.port) if here.port else ()),
    )
