"""`doctor`: the checks alone, with everything looked at side by side and nothing started."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..checks.deployment import NameUse
from ..checks.launch import Here, check_launch
from ..errors import NoSuchDeploymentError, RuntimeUnavailableError
from ..facts.engine import EngineProblem
from ..facts.engine_problem import gave_no_answer
from ..facts.gather import Facts, gather
from ..facts.looking import Look
from ..facts.recorded import on_another_machine
from ..plan.build import make_plan
from ..runtime.choose import docker_runtime, process_runtime, twin
from ..runtime.deployment import ForeignError
from .plugin import expects_plugin, plugin_in
from .prepare import look_here, pasteable
from .readings import start_facts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ..finding import Finding
    from ..plan.plan import Plan
    from ..runtime.deployment import Deployment, Runtime
    from ..settings.options import Settings

ENGINE_SECONDS = 3.0
HERE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Checkup:
    """What was seen, what would be started, and what the checks say of it."""

    facts: Facts
    plan: Plan
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing stands against a start."""
        return all(finding.level != "blocker" for finding in self.findings)


def doctor(settings: Settings, *, machine: tuple[str, Mapping[str, Any]] | None = None) -> Checkup:
    """Run every check; `machine` is another machine's name and recorded facts, and then no engine is asked.

    A container engine that does not answer is a finding like any other.

    Raises:
        SettingsError: the chat template does not exist, or the recorded facts are malformed.
    """
    if machine is not None:
        name, recorded = machine
        facts = on_another_machine(gather(settings), recorded, named=name)
        plan = make_plan(settings, facts)
        return Checkup(facts, plan, check_launch(settings, facts, plan))
    runtime, problem = _runtime(settings)
    here = Look(lambda: _here(settings, runtime), seconds=HERE_SECONDS)
    client = getattr(runtime, "client", None)
    looked = gather(settings, client=client)
    facts = replace(looked, engine_problem=problem or looked.engine_problem)
    plan = make_plan(settings, facts)
    seen = here.answer(lambda within: Here(unseen=f"the container engine {within}"))
    return Checkup(facts, plan, pasteable(check_launch(settings, facts, plan, seen), settings))


def _runtime(settings: Settings) -> tuple[Runtime | None, EngineProblem | None]:
    """What would carry the plan out, or why it does not answer."""
    if settings.runtime != "docker":
        return process_runtime(), None
    late = gave_no_answer(f"gave no answer within {ENGINE_SECONDS:g} s")
    look: Look[Runtime | None] = Look(docker_runtime, seconds=ENGINE_SECONDS)
    try:
        runtime = look.answer(lambda _: None)
    except RuntimeUnavailableError as error:
        known = getattr(error, "problem", None)
        return None, known or EngineProblem("other", error.what, error.why, error.fix)
    return (runtime, None) if runtime is not None else (None, late)


def _here(settings: Settings, runtime: Runtime | None) -> Here:
    existing: Deployment | None = None
    name = NameUse()
    if runtime is not None:
        try:
            existing = runtime.find(settings.name)
        except ForeignError:
            name = NameUse("foreign")
    seen = look_here(settings, runtime, existing)
    if name.state == "free" and existing is not None and existing.state == "exited":
        name = NameUse("ended", existing.plan_hash)
    elif name.state == "free" and existing is None and runtime is not None and twin(settings.name, settings.runtime):
        name = NameUse("twin")
    loaded = _plugin_loaded(runtime, existing)
    return replace(seen, name=name if name.state != "free" else seen.name, plugin_loaded=loaded)


def _plugin_loaded(runtime: Runtime | None, existing: Deployment | None) -> bool | None:
    """What the log of the running deployment says of our plugin; None where it has none, or its log does not tell."""
    if runtime is None or existing is None or existing.state != "running" or not expects_plugin(existing):
        return None
    try:
        plugin = plugin_in(existing, start_facts(runtime, existing))
    except NoSuchDeploymentError:  # taken down since it was found
        return None
    return plugin.loaded if plugin else None
