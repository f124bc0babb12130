"""What this host shows of an engine that runs on it: where its images go, and NVIDIA's programs for containers."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CDI_KIND = "nvidia.com/gpu"
HOOKS = ("nvidia-container-runtime-hook", "nvidia-container-runtime")
TOOLKIT = "nvidia-ctk"
USUAL_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
"""A daemon's PATH as systemd sets it; a user's may lack some of these."""
CONTAINERD = Path("/var/lib/containerd")
"""containerd's own default; with its image store (Docker 29's default) images go there, not below Docker's root."""


def in_a_machine_of_its_own(info: Mapping[str, Any]) -> bool:
    """Docker Desktop's engine answers on a socket of this host and runs in a virtual machine."""
    return "Docker Desktop" in str(info.get("OperatingSystem", ""))


def image_folder(info: Mapping[str, Any], *, containerd: Path = CONTAINERD) -> str:
    """The folder on the engine's machine that images go to."""
    root = str(info.get("DockerRootDir") or "")
    if ["driver-type", "io.containerd.snapshotter.v1"] not in list(info.get("DriverStatus") or ()):
        return root
    own = Path(root, "containerd", "daemon")  # of a containerd that dockerd itself started
    return str(own if own.is_dir() else containerd)


def bytes_free(folder: str) -> int | None:
    """Bytes that this user may still use there; None where the folder cannot be seen from here."""
    try:
        return shutil.disk_usage(folder).free if folder else None
    except OSError:
        return None


def has_program(names: Iterable[str]) -> bool:
    """Whether any of these programs is where a daemon or this user would find it."""
    path = os.pathsep.join(filter(None, (os.environ.get("PATH"), *USUAL_FOLDERS)))
    return any(shutil.which(name, path=path) for name in names)


def has_cdi(info: Mapping[str, Any], *, elsewhere: bool) -> bool | None:
    """Whether a CDI specification describes NVIDIA GPUs: by the engine's word, else by its folders on this host."""
    discovered = info.get("DiscoveredDevices")
    if discovered is not None:
        return any(str(device.get("ID", "")).startswith(CDI_KIND) for device in discovered)
    folders = [Path(folder) for folder in info.get("CDISpecDirs") or ()]
    if elsewhere and folders:
        return None
    specs = [spec for folder in folders for pattern in ("*.yaml", "*.json") for spec in folder.glob(pattern)]
    readable = [spec for spec in specs if os.access(spec, os.R_OK)]
    if any(CDI_KIND in spec.read_text("utf-8", "replace") for spec in readable):
        return True
    return False if readable == specs else None
