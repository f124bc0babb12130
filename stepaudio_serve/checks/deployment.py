"""The deployment's name: nobody's, ours already, or somebody else's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..plan.plan import Plan


@dataclass(frozen=True, slots=True)
class NameUse:
    """What has the name: `foreign` a container that is not ours, `twin` a deployment in the other runtime.

    `plan_hash` is that of a deployment of ours in this runtime, empty where there is none.
    """

    state: Literal["free", "running", "ended", "foreign", "twin"] = "free"
    plan_hash: str = ""


def check_name(plan: Plan, use: NameUse) -> Iterator[Finding]:
    """What `up` would do with what has the name."""
    name = plan.name
    if use.state == "foreign":
        yield Finding(
            "name-taken",
            "engine",
            "blocker",
            f"the container `{name}` was not started by stepaudio-serve",
            "it does not carry our label; it is never touched",
            "--name ANOTHER-NAME",
        )
    elif use.state == "twin":
        other = "process" if plan.runtime == "docker" else "docker"
        yield Finding(
            "name-taken",
            "engine",
            "blocker",
            f"there is a deployment `{name}` already, in the {other} runtime",
            "a name means one deployment, whatever it runs in",
            f"stepaudio-serve down {name}   # or another --name",
        )
    elif use.state == "running" and use.plan_hash == plan.hash:
        yield Finding("deployment", "engine", "ok", f"`{name}` runs already, from this plan: `up` joins it")
    elif use.state == "running":
        yield Finding(
            "deployment",
            "engine",
            "note",
            f"`{name}` runs already, from another plan",
            "`up` does not replace it unless told to",
            "stepaudio-serve up --replace   # with the same settings as here",
        )
    elif use.state == "ended":
        what = f"`{name}` has ended: `up` starts it anew, and its log is gone then"
        yield Finding("deployment", "engine", "note", what, "", f"stepaudio-serve logs {name}")


def check_program(missing: str) -> Iterator[Finding]:
    """The program that the process runtime starts; a container brings its own."""
    if missing:
        yield Finding(
            "no-program",
            "engine",
            "blocker",
            f"there is no program `{missing}`",
            "it is not on PATH, and the process runtime starts it as a child",
            "pip install vllm   # or, in a container: --runtime docker",
        )
