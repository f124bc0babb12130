"""The runtime that the settings name, and both for commands that look for a deployment by name."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from ..errors import NoSuchDeploymentError, RuntimeUnavailableError
from ..facts.host import folders
from .deployment import ForeignError
from .process import ProcessRuntime

if TYPE_CHECKING:
    from .deployment import Deployment, Runtime
    from .docker import DockerRuntime


def docker_runtime() -> DockerRuntime:
    """Connect to the container engine.

    Raises:
        RuntimeUnavailableError: it does not answer.
    """
    from ..facts.engine import connect
    from .docker import DockerRuntime

    return DockerRuntime(connect())


def process_runtime() -> ProcessRuntime:
    """Child processes, with their folders below the user's state folder."""
    return ProcessRuntime(folders().state / "processes")


def twin(name: str, runtime: Literal["docker", "process"]) -> Deployment | None:
    """A deployment of that name in the other runtime; None also where no container engine answers."""
    with suppress(RuntimeUnavailableError, ForeignError):
        return (docker_runtime() if runtime == "process" else process_runtime()).find(name)
    return None


def locate(name: str) -> tuple[Runtime, Deployment]:
    """The deployment of that name, in whichever runtime it is.

    Raises:
        NoSuchDeploymentError: none of that name is ours.
        RuntimeUnavailableError: it is no process, and no container engine answers.
    """
    processes = process_runtime()
    if found := processes.find(name):
        return processes, found
    containers = docker_runtime()
    if found := containers.find(name):
        return containers, found
    others = sorted({item.name for item in (*processes.deployments(), *containers.deployments())})
    raise NoSuchDeploymentError(
        f"there is no deployment `{name}`",
        why=f"those that there are: {', '.join(others)}" if others else "there is none at all",
        fix="stepaudio-serve status",
    )


def everything() -> tuple[tuple[tuple[Runtime, Deployment], ...], RuntimeUnavailableError | None]:
    """All deployments of both runtimes, and why containers could not be looked at, if so."""
    processes = process_runtime()
    found: list[tuple[Runtime, Deployment]] = [(processes, item) for item in processes.deployments()]
    try:
        containers = docker_runtime()
    except RuntimeUnavailableError as error:
        return tuple(found), error
    found += [(containers, item) for item in containers.deployments()]
    return tuple(found), None
