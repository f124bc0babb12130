"""The host: its folders, its architecture, and who holds a port."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Folders:
    """Where things of ours live on this host."""

    state: Path
    models: Path
    hub_cache: Path


@dataclass(frozen=True, slots=True)
class Disk:
    """Room in bytes, for this user, where something is kept; `path` is the nearest folder that exists."""

    purpose: Literal["models", "images", "state"]
    path: Path
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class HostFacts:
    """This machine; memory in MiB, None where it is another machine and its facts do not say."""

    memory_total_mib: int | None = None
    memory_available_mib: int | None = None
    disks: tuple[Disk, ...] = ()


@dataclass(frozen=True, slots=True)
class PortHolder:
    """Who listens on a port; `process` is empty where the system does not tell."""

    address: str
    port: int
    process: str
    pid: int | None


def folders() -> Folders:
    """The user's folders; Hugging Face's own variables are honoured for its cache."""
    from platformdirs import user_data_path, user_state_path

    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("HF_HOME") or caches / "huggingface")
    return Folders(
        state=user_state_path("stepaudio-serve"),
        models=user_data_path("stepaudio-serve") / "models",
        hub_cache=Path(os.environ.get("HF_HUB_CACHE") or home / "hub"),
    )


def architecture() -> str:
    """This host's processor in Docker's words."""
    return architecture_in_docker(platform.machine())


def architecture_in_docker(machine: str) -> str:
    """A processor as images name it (amd64, arm64), from the kernel's name for it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def look_at_host(keeps: Mapping[Literal["models", "images", "state"], Path]) -> HostFacts:
    """This machine's memory, and the disks on which it `keeps` things; one that cannot be seen is left out."""
    disks = (_disk(purpose, path) for purpose, path in keeps.items())
    return HostFacts(*memory_mib(), tuple(disk for disk in disks if disk))


def memory_mib() -> tuple[int | None, int | None]:
    """Total and available MiB: page cache that the kernel would give back is available. None where Linux is not.

    psutil reads the same lines, and takes 20 ms to import.
    """
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        kibibytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    except (OSError, ValueError, IndexError):
        return None, None
    total, available = (kibibytes.get(name) for name in ("MemTotal", "MemAvailable"))
    return total and total // 1024, available and available // 1024


def _disk(purpose: Literal["models", "images", "state"], path: Path) -> Disk | None:
    for folder in (path.absolute(), *path.absolute().parents):
        try:
            usage = shutil.disk_usage(folder)
        except FileNotFoundError:
            continue
        except OSError:  # may not be looked at, or a file where a folder should be
            return None
        return Disk(purpose, folder, usage.free, usage.total)
    return None


def port_holder(host: str, port: int) -> PortHolder | None:
    """Who holds the port, or None when it is free: found by trying to bind, named by the socket tables.

    Raises:
        OSError: the address cannot be bound for another reason than being in use.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return _listener(host, port)
    return None


def _listener(host: str, port: int) -> PortHolder:
    import psutil

    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        connections = []
    pids = [
        item.pid for item in connections if item.status == psutil.CONN_LISTEN and item.laddr and item.laddr[1] == port
    ]
    pid = next((pid for pid in pids if pid), None)
    name = ""
    if pid:
        try:
            name = psutil.Process(pid).name()
        except psutil.Error:
            name = ""
    return PortHolder(host, port, name, pid)
