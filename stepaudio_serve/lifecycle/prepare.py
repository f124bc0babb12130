"""Everything before the start: facts, plan, checks."""

from __future__ import annotations

import errno
import shutil
import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..checks.address import PortUse
from ..checks.deployment import NameUse
from ..checks.launch import Here, check_launch
from ..errors import RefusedError
from ..facts.gather import Facts, gather, key_file_problem
from ..facts.host import port_holder
from ..plan.build import make_plan
from ..runtime.choose import docker_runtime, process_runtime, twin
from ..runtime.deployment import ForeignError, find_settled
from .pasteable import up_command

if TYPE_CHECKING:
    from ..facts.host import PortHolder
    from ..finding import Finding
    from ..plan.plan import Plan
    from ..runtime.deployment import Deployment, Runtime
    from ..settings.options import Settings


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan, ready to be carried out by a runtime."""

    settings: Settings
    facts: Facts
    plan: Plan
    runtime: Runtime


def prepare(settings: Settings) -> Prepared:
    """Connect, look, plan.

    Raises:
        RuntimeUnavailableError: the container engine does not answer.
        SettingsError: the chat template does not exist.
    """
    runtime: Runtime
    if settings.runtime == "docker":
        runtime = containers = docker_runtime()
        facts = gather(settings, client=containers.client)
    else:
        runtime = process_runtime()
        facts = gather(settings)
    return Prepared(settings, facts, make_plan(settings, facts), runtime)


def existing_deployment(prepared: Prepared) -> Deployment | None:
    """The deployment that has the plan's name already.

    Raises:
        RefusedError: something that is not ours has it, or a deployment in the other runtime.
    """
    plan = prepared.plan
    try:
        found = find_settled(prepared.runtime, plan.name)
    except ForeignError as error:
        raise RefusedError(error.what, why=error.why, fix="stepaudio-serve up --name ANOTHER-NAME") from error
    if (found is None or found.state != "running") and (other := twin(plan.name, plan.runtime)):
        raise RefusedError(
            f"there is a deployment `{plan.name}` already, in the {other.runtime} runtime",
            why="a name means one deployment, whatever it runs in",
            fix=f"stepaudio-serve down {plan.name}   # or another --name",
        )
    return found


def findings_before_start(prepared: Prepared, *, replacing: Deployment | None) -> tuple[Finding, ...]:
    """All findings of the checks; a port held by the deployment that is being replaced is free."""
    here = look_here(prepared.settings, prepared.runtime, replacing)
    return pasteable(check_launch(prepared.settings, prepared.facts, prepared.plan, here), prepared.settings)


def pasteable(findings: tuple[Finding, ...], settings: Settings) -> tuple[Finding, ...]:
    """With the settings at hand in the fix that starts anew, which would start others without them."""
    again = up_command(settings.to_label(), "--replace")
    return tuple(
        replace(finding, fix=again) if finding.fix.startswith("stepaudio-serve up --replace") else finding
        for finding in findings
    )


def look_here(settings: Settings, runtime: Runtime | None, existing: Deployment | None) -> Here:
    """The port, the key file, and the deployment that has the name already; `runtime` None where none answers."""
    path = settings.api_key_file
    running = existing is not None and existing.state == "running"
    return Here(
        port=port_use(settings, runtime, existing),
        name=NameUse("running", existing.plan_hash) if existing is not None and running else NameUse(),
        key_file_problem=key_file_problem(path) if path else "",
        missing_program=_missing_program(settings),
    )


def _missing_program(settings: Settings) -> str:
    """What a child process would be started from, where it is not on PATH."""
    if settings.runtime == "docker" or settings.engine != "vllm" or shutil.which("vllm"):
        return ""
    return "vllm"


def refuse(findings: tuple[Finding, ...]) -> None:
    """Raise when any finding is a blocker.

    Raises:
        RefusedError: with every finding that is not ok.
    """
    blockers = [finding for finding in findings if finding.level == "blocker"]
    if blockers:
        first = blockers[0]
        raise RefusedError(first.what, why=first.why, fix=first.fix, findings=_not_ok(findings))


def _not_ok(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.level != "ok")


def port_use(settings: Settings, runtime: Runtime | None, replacing: Deployment | None) -> PortUse:
    """Who is on the port that the settings want."""
    if replacing is not None and replacing.state == "running" and settings.port in _ports(replacing):
        return PortUse(replaced=True)
    try:
        holder = port_holder(settings.host, settings.port)
    except OSError as error:
        if error.errno == errno.EACCES and settings.runtime == "docker":
            return PortUse()  # a port below 1024: the container engine may well be allowed to publish it
        return PortUse(refusal=error.strerror or str(error))
    if holder is None:
        return PortUse()
    return PortUse(
        holder=holder,
        container=_container_on(runtime, settings.port),
        deployment=_deployment_on(runtime, settings.port, holder),
        free=_free_port(settings.host, settings.port),
    )


def _ports(deployment: Deployment) -> list[int]:
    """The ports of this machine that it holds."""
    return [port["host_port"] for port in deployment.plan["ports"]]


def _container_on(runtime: Runtime | None, port: int) -> str:
    from ..runtime.docker import DockerRuntime

    return (runtime.publisher_of(port) or "") if isinstance(runtime, DockerRuntime) else ""


def _deployment_on(runtime: Runtime | None, port: int, holder: PortHolder) -> str:
    """The deployment of ours that holds the port: a container's by what it publishes, a process' by its plan."""
    for each in filter(None, (runtime, process_runtime())):
        for found in each.deployments():
            if found.state == "running" and port in _ports(found) and (found.runtime == "docker" or holder.pid):
                return found.name
    return ""


def _free_port(host: str, taken: int) -> int | None:
    """The next free port above a taken one, within a hundred."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in range(taken + 1, min(taken + 100, 65535)):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if probe.connect_ex((host, port)) != 0:
                return port
    return None
