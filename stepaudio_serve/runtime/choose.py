"""The runtime that the settings name, and both for commands that look for a deployment by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import NoSuchDeploymentError, RuntimeUnavailableError
from ..facts.host import folders
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


def runtime_of(kind: str) -> Runtime:
    """The runtime by its name, `docker` or `process`."""
    return docker_runtime() if kind == "docker" else process_runtime()


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
    raise NoSuchDeploymentError(f"there is no deployment `{name}`", fix="stepaudio-serve status")


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
