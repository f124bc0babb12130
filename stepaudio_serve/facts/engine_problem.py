"""Why no container engine answers: near-identical failures told apart, each with what helps."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from ..errors import RuntimeUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

STANDARD_SOCKET = "unix:///var/run/docker.sock"
PROGRAMS = ("docker", "dockerd", "podman")
WITHOUT_CONTAINERS = "   (or, without containers: --runtime process)"
PING_SECONDS = 1

EngineProblemKind = Literal[
    "not-installed",
    "daemon-down",
    "no-permission",
    "no-such-context",
    "wrong-context",
    "wrong-host",
    "timed-out",
    "remote",
    "other",
]


@dataclass(frozen=True, slots=True)
class EngineProblem:
    """Why the container engine could not be asked."""

    kind: EngineProblemKind
    what: str
    why: str
    fix: str

    def as_error(self) -> RuntimeUnavailableError:
        """The same, to be raised."""
        return RuntimeUnavailableError(self.what, why=self.why, fix=self.fix, problem=self)


@dataclass(frozen=True, slots=True)
class Target:
    """The engine that was asked: by DOCKER_HOST (`variable`), or by the docker context of a name."""

    address: str
    context: str = ""
    variable: bool = False

    @property
    def named(self) -> str:
        """With what chose it; empty for the engine that everybody has."""
        if self.variable:
            return f"DOCKER_HOST={self.address}"
        return f"{self.address}, the docker context `{self.context}`" if self.context not in ("", "default") else ""

    @property
    def socket(self) -> Path | None:
        """The socket's file, where it is one of this machine."""
        parts = urlsplit(self.address or STANDARD_SOCKET)
        return Path(parts.path) if parts.scheme in {"unix", "http+unix"} else None


def engine_problem(error: BaseException | str, target: Target, *, others: Sequence[str] = ()) -> EngineProblem:
    """Tell what a failure to reach the engine means; `others` are addresses where one may answer instead."""
    message = str(error)
    if urlsplit(target.address).scheme == "ssh":
        return _remote(target)
    if "PermissionError" in message or "Permission denied" in message:
        return no_permission(target, Membership.of(target.socket))
    answering = next((other for other in others if other != target.address and answers(other)), None)
    if answering is not None:
        return _elsewhere(message, target, answering)
    return _silent(message, target)


def _silent(message: str, target: Target) -> EngineProblem:
    what = f"no container engine answers at {target.named}" if target.named else "no Docker Engine answers"
    if "imed out" in message or "Timeout" in message:
        why = "it accepts connections, but gives no answer in time: the daemon hangs, or is on its way up"
        return EngineProblem(
            "timed-out", what, why, "unset DOCKER_HOST" if target.variable else "docker info   (and try again)"
        )
    if "FileNotFoundError" in message or "No such file" in message:
        return _no_socket(what, target)
    if "Connection refused" in message or "ConnectionRefused" in message:
        return _down(what, "its socket exists, but nothing listens: the daemon is down", target)
    return EngineProblem("other", what, message.splitlines()[0][:200] if message else "", _start(target))


def _remote(target: Target) -> EngineProblem:
    return EngineProblem(
        "remote",
        f"the container engine is on another machine ({target.named})",
        "its folders and its loopback address are not this machine's: engines over SSH are refused",
        _start(target),
    )


def no_such_context(name: str) -> EngineProblem:
    """The docker command names a context that is not there; the SDK would silently take the default engine."""
    return EngineProblem(
        "no-such-context",
        f"the docker context `{name}` does not exist" if name else "the current docker context does not exist",
        "DOCKER_CONTEXT or the current context of the docker command names it",
        "docker context ls",
    )


def gave_no_answer(within: str) -> EngineProblem:
    """The engine was asked, and a limit of time is over."""
    address = os.environ.get("DOCKER_HOST", "")
    what = f"the container engine {within}" + (f" (DOCKER_HOST={address})" if address else "")
    return EngineProblem(
        "timed-out", what, "the daemon hangs, or is busy", "unset DOCKER_HOST" if address else "docker info"
    )


def usual_addresses() -> tuple[str, ...]:
    """Where engines are found on this machine: Docker's, then this user's own Docker and Podman."""
    of_user = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    return STANDARD_SOCKET, f"unix://{of_user}/docker.sock", f"unix://{of_user}/podman/podman.sock"


def answers(address: str) -> bool:
    """Whether an engine answers a ping there at once."""
    socket = Target(address).socket
    if socket is not None and not os.access(socket, os.R_OK | os.W_OK):
        return False
    from docker import DockerClient
    from docker.constants import DEFAULT_DOCKER_API_VERSION

    try:
        client = DockerClient(base_url=address, version=DEFAULT_DOCKER_API_VERSION, timeout=PING_SECONDS)
        return bool(client.ping())
    except Exception:  # noqa: BLE001 - whatever it is, it is no answer
        return False


@dataclass(frozen=True, slots=True)
class Membership:
    """Whether this user belongs to the group that a socket admits, and whether this login `has` it.

    The group is empty where it is root's own: nobody should be told to join that.
    """

    group: str
    belongs: bool
    has: bool

    @classmethod
    def of(cls, socket: Path | None) -> Membership:
        """As the system's tables tell; the group is taken to be `docker` where the socket cannot be seen."""
        import grp
        import pwd

        try:
            group = grp.getgrgid(socket.stat().st_gid) if socket else grp.getgrnam("docker")
            user = pwd.getpwuid(os.getuid())
        except (KeyError, OSError):
            return cls("docker", belongs=False, has=False)
        if group.gr_gid == 0:
            return cls("", belongs=False, has=False)
        belongs = user.pw_name in group.gr_mem or user.pw_gid == group.gr_gid
        return cls(group.gr_name, belongs, group.gr_gid in (os.getegid(), *os.getgroups()))


def no_permission(target: Target, membership: Membership) -> EngineProblem:
    """The socket refuses this user: which step is missing for it to be admitted."""
    what = "this user may not use the Docker Engine"
    group = membership.group
    if membership.has or not group:
        why = "its socket refused access to this user" + (f", who has the group {group}" if group else "")
        fix = f"ls -l {target.socket or target.address}   # shows whom it admits"
    elif membership.belongs:
        why = f"the user is in the group {group}, but logged in before: this login does not have it yet"
        fix = f"newgrp {group}"
    else:
        why = f"the socket refused access: the user is not in the group {group}"
        fix = f"sudo usermod -aG {group} $USER && newgrp {group}"
    return EngineProblem("no-permission", what, why, fix)


def _elsewhere(message: str, target: Target, answering: str) -> EngineProblem:
    standard = answering == STANDARD_SOCKET
    if target.variable:
        return EngineProblem(
            "wrong-host",
            f"no container engine answers at {target.named}",
            f"{_reason(message)}; one answers at {answering}",
            "unset DOCKER_HOST" if standard else f"export DOCKER_HOST={answering}",
        )
    what = f"no container engine answers at {target.named or target.address}"
    fix = "docker context use default" if standard else f"export DOCKER_HOST={answering}"
    return EngineProblem("wrong-context", what, f"{_reason(message)}; one answers at {answering}", fix)


def _no_socket(what: str, target: Target) -> EngineProblem:
    if target.named:
        return _down(what, "its socket does not exist: it is not started, or the address is wrong", target)
    if any(shutil.which(program) for program in PROGRAMS):
        return _down(what, "its socket does not exist: Docker is installed, but not started", target)
    why = "its socket does not exist, nor does a program `docker`: Docker is not installed"
    return EngineProblem("not-installed", what, why, "curl -fsSL https://get.docker.com | sudo sh" + WITHOUT_CONTAINERS)


def _down(what: str, why: str, target: Target) -> EngineProblem:
    return EngineProblem("daemon-down", what, why, _start(target))


def _start(target: Target) -> str:
    if target.variable:
        return "unset DOCKER_HOST"
    return "docker context use default" if target.named else "sudo systemctl start docker" + WITHOUT_CONTAINERS


def _reason(message: str) -> str:
    if "FileNotFoundError" in message or "No such file" in message:
        return "its socket does not exist"
    if "Connection refused" in message or "ConnectionRefused" in message:
        return "nothing listens there"
    return message.splitlines()[0][:200] if message else "it does not answer"
