"""The container engine behind the Docker API: Docker, or Podman through its Docker-compatible socket."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from ..errors import RuntimeUnavailableError
from .host import architecture_in_docker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docker import DockerClient

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
CDI_KIND = "nvidia.com/gpu"


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image that is present: `digest` is the registry's, empty for one built here; size in bytes."""

    id: str
    architecture: str
    entrypoint: tuple[str, ...]
    digest: str = ""
    size: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


EngineProblemKind = Literal[
    "not-installed",
    "daemon-down",
    "no-permission",
    "no-such-context",
    "wrong-context",
    "wrong-host",
    "timed-out",
    "other",
]


@dataclass(frozen=True, slots=True)
class EngineProblem:
    """Why the container engine could not be asked."""

    kind: EngineProblemKind
    what: str
    why: str
    fix: str


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What the engine says of itself.

    `cdi_nvidia`: a CDI spec for NVIDIA GPUs; None where it cannot be seen. `gpu_hook`: NVIDIA's hook or runtime
    program is on this host's PATH, which is the engine's own; None for an engine elsewhere. `toolkit`: nvidia-ctk is.
    `storage` is where images go, `storage_free` the bytes free there, None where they cannot be seen.
    `memory_total`: bytes of memory that the engine says its machine has.
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


def connect() -> DockerClient:
    """A client for the engine that the docker command would use: DOCKER_HOST, DOCKER_CONTEXT, the current context.

    Raises:
        RuntimeUnavailableError: the context does not exist, or its engine does not answer.
    """
    import docker
    from docker.errors import DockerException

    if not os.environ.get("DOCKER_HOST") and _context() is None:  # the SDK would silently take the default engine
        name = os.environ.get("DOCKER_CONTEXT") or "set as current"
        raise RuntimeUnavailableError(
            f"the docker context `{name}` does not exist",
            why="DOCKER_CONTEXT or the current context of the docker command names it",
            fix="docker context ls",
        )
    try:
        client = docker.from_env(timeout=120)
    except DockerException as error:
        raise unavailable(str(error)) from error
    except Exception as error:  # requests' own errors pass through the SDK unwrapped
        if type(error).__module__.split(".")[0] not in {"requests", "urllib3"}:
            raise
        raise unavailable(str(error)) from error
    return client


def unavailable(message: str) -> RuntimeUnavailableError:
    """Word the failure to reach the engine."""
    if "PermissionError" in message or "Permission denied" in message:
        return RuntimeUnavailableError(
            "this user may not use the Docker Engine",
            why="the socket refused access: the user is not in the group docker",
            fix="sudo usermod -aG docker $USER && newgrp docker",
        )
    target = os.environ.get("DOCKER_HOST")
    if target:
        return RuntimeUnavailableError(
            f"no container engine answers at DOCKER_HOST={target}", why=_short(message), fix="unset DOCKER_HOST"
        )
    context = _context()
    if context is not None and context.Name != "default":
        return RuntimeUnavailableError(
            f"no container engine answers at {context.Host}, the docker context `{context.Name}`",
            why=_short(message),
            fix="docker context use default",
        )
    return RuntimeUnavailableError(
        "no Docker Engine answers",
        why=_short(message),
        fix="sudo systemctl start docker   (or, without containers: --runtime process)",
    )


def _context() -> Any:
    """The docker context in use, as the SDK read it; None where it does not exist."""
    from docker.context import ContextAPI

    return ContextAPI.get_context(os.environ.get("DOCKER_CONTEXT") or None)


def _short(message: str) -> str:
    if "FileNotFoundError" in message or "No such file" in message:
        return "its socket does not exist: Docker is not installed or not started"
    if "Connection refused" in message or "ConnectionRefused" in message:
        return "its socket exists, but nothing listens: the daemon is down"
    return message.splitlines()[0][:200]


def look_at_engine(client: DockerClient) -> EngineFacts:
    """Ask the engine about itself, in one call."""
    info = client.info()
    url = engine_address() or str(client.api.base_url)
    remote = is_remote(url)
    return EngineFacts(
        url=url,
        version=str(info["ServerVersion"]),
        architecture=architecture_in_docker(info["Architecture"]),
        is_podman="BuildahVersion" in info,  # in Podman's answer only
        is_remote=remote,
        runtimes=tuple(sorted(info.get("Runtimes") or ())),
        cdi_nvidia=_has_cdi(info, remote=remote),
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


def _has_cdi(info: Mapping[str, Any], *, remote: bool) -> bool | None:
    discovered = info.get("DiscoveredDevices")
    if discovered is not None:
        return any(str(device.get("ID", "")).startswith(CDI_KIND) for device in discovered)
    folders = [Path(folder) for folder in info.get("CDISpecDirs") or ()]
    if remote and folders:
        return None
    specs = [spec for folder in folders for pattern in ("*.yaml", "*.json") for spec in folder.glob(pattern)]
    return any(CDI_KIND in spec.read_text("utf-8", "replace") for spec in specs)


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
    )
