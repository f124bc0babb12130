"""The container engine behind the Docker API: Docker, or Podman through its Docker-compatible socket."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .engine_host import HOOKS, TOOLKIT, bytes_free, has_cdi, has_program, image_folder, in_a_machine_of_its_own
from .engine_problem import EngineProblem, Target, engine_problem, no_such_context, usual_addresses
from .host import architecture_in_docker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docker import DockerClient

    from ..errors import RuntimeUnavailableError

__all__ = ["EngineFacts", "EngineProblem", "ImageFacts", "connect", "look_at_engine", "look_at_image", "unavailable"]

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
CONNECT_SECONDS = 10
"""For the first answer; a daemon that systemd starts at the first connection takes some."""
ANSWER_SECONDS = 120
"""For every later one: the SDK's default is 60, and a busy engine creates a container in more."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image that is present: `digest` is the registry's, empty for one built here; size in bytes."""

    id: str
    architecture: str
    entrypoint: tuple[str, ...]
    digest: str = ""
    size: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What the engine says of itself.

    `cdi_nvidia`: a CDI spec for NVIDIA GPUs; None where it cannot be seen. `gpu_hook`: NVIDIA's hook or runtime
    program is on this host, which is the engine's own; None for an engine elsewhere. `toolkit`: nvidia-ctk is.
    `context` is the docker context in use, empty where DOCKER_HOST takes its place; `api_version` the newest that
    both sides speak. `storage` is where images go, `storage_free` the bytes free there, None where they cannot be
    seen. `memory_total`: bytes of memory that the engine says its machine has.
    """

    url: str
    version: str
    architecture: str
    is_podman: bool
    is_remote: bool
    runtimes: tuple[str, ...]
    cdi_nvidia: bool | None
    api_version: str = ""
    context: str = ""
    rootless: bool = False
    gpu_hook: bool | None = None
    toolkit: bool | None = None
    storage: str = ""
    storage_free: int | None = None
    memory_total: int | None = None
    cgroup_version: str = ""


def connect(*, seconds: int = CONNECT_SECONDS) -> DockerClient:
    """A client for the engine that the docker command would use: DOCKER_HOST, DOCKER_CONTEXT, the current context.

    It has so many `seconds` for its first answer.

    Raises:
        RuntimeUnavailableError: the context does not exist, or its engine does not answer.
    """
    import docker
    from docker.errors import DockerException

    if not os.environ.get("DOCKER_HOST") and _context() is None:  # the SDK would silently take the default engine
        raise no_such_context(os.environ.get("DOCKER_CONTEXT", "")).as_error()
    try:
        client = docker.from_env(timeout=seconds)
    except DockerException as error:
        raise unavailable(error) from error
    except Exception as error:  # requests' own errors pass through the SDK unwrapped
        if type(error).__module__.split(".")[0] not in {"requests", "urllib3"}:
            raise
        raise unavailable(error) from error
    client.api.timeout = ANSWER_SECONDS
    return client


def unavailable(error: BaseException | str) -> RuntimeUnavailableError:
    """Word the failure to reach the engine that would be used."""
    context = _context()
    variable = os.environ.get("DOCKER_HOST", "")
    target = Target(
        address=variable or str((context and context.Host) or ""),
        context=str(context.Name) if context else "",
        variable=bool(variable),
    )
    return engine_problem(error, target, others=usual_addresses()).as_error()


def _context() -> Any:
    """The docker context in use, as the SDK read it; None where it does not exist."""
    from docker.context import ContextAPI

    return ContextAPI.get_context(os.environ.get("DOCKER_CONTEXT") or None)


def look_at_engine(client: DockerClient) -> EngineFacts:
    """Ask the engine about itself, in one call, and this host about the rest where the engine runs on it."""
    info = client.info()
    url = engine_address() or str(client.api.base_url)
    remote = is_remote(url)
    elsewhere = remote or in_a_machine_of_its_own(info)
    storage = image_folder(info)
    context = None if os.environ.get("DOCKER_HOST") else _context()
    return EngineFacts(
        url=url,
        version=str(info["ServerVersion"]),
        architecture=architecture_in_docker(info["Architecture"]),
        is_podman="BuildahVersion" in info,  # in Podman's answer only
        is_remote=remote,
        runtimes=tuple(sorted(info.get("Runtimes") or ())),
        cdi_nvidia=has_cdi(info, elsewhere=elsewhere),
        api_version=str(client.api.api_version),
        context=str(context.Name) if context else "",
        rootless=any("name=rootless" in str(option).split(",") for option in info.get("SecurityOptions") or ()),
        gpu_hook=None if elsewhere else has_program(HOOKS),
        toolkit=None if elsewhere else has_program([TOOLKIT]),
        storage=storage,
        storage_free=None if elsewhere else bytes_free(storage),
        memory_total=info.get("MemTotal") or None,
        cgroup_version=str(info.get("CgroupVersion") or ""),
    )


def engine_address() -> str:
    """Where the engine is, as DOCKER_HOST or the docker context says: of SSH, the SDK's own address hides the host."""
    context = _context()
    return os.environ.get("DOCKER_HOST") or str((context and context.Host) or "")


def is_remote(url: str) -> bool:
    """Whether an engine's address names another machine."""
    parts = urlsplit(url)
    return parts.scheme in {"ssh", "tcp", "http", "https"} and parts.hostname not in (
        *LOOPBACK_NAMES,
        "localunixsocket",
    )


def look_at_image(client: DockerClient, reference: str) -> ImageFacts | None:
    """The image if it is present, else None."""
    from docker.errors import ImageNotFound

    try:
        image = client.images.get(reference)
    except ImageNotFound:
        return None
    config = image.attrs.get("Config") or {}
    return ImageFacts(
        id=str(image.id),
        architecture=str(image.attrs.get("Architecture", "")),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        digest=next((known.partition("@")[2] for known in image.attrs.get("RepoDigests") or ()), ""),
        size=image.attrs.get("Size"),
        environment=dict(item.partition("=")[::2] for item in config.get("Env") or ()),
    )
