"""The address: who can reach it, the key, and whether the port is free."""

from __future__ import annotations

import ipaddress
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..facts.host import PortHolder
    from ..settings.options import Settings


@dataclass(frozen=True, slots=True)
class PortUse:
    """What was found on the port: nobody, or a holder.

    `container` is the name of the container that publishes it, `deployment` that of a deployment of ours. `free` is a
    port nearby that nobody holds. `replaced`: its holder will be stopped before the start. `refusal` says why the
    address cannot be bound at all.
    """

    holder: PortHolder | None = None
    container: str = ""
    deployment: str = ""
    free: int | None = None
    replaced: bool = False
    refusal: str = ""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def check_reach(settings: Settings) -> Iterator[Finding]:
    """Who can reach the endpoint, and whether a key is asked for."""
    card = settings.recipe == "model-card"
    beyond = card or not is_loopback(settings.host)
    where = "the model card's port, published on every interface," if card else settings.host
    if beyond and not settings.has_key and not settings.insecure:
        yield Finding(
            "open-to-neighbours",
            "address",
            "blocker",
            f"{where} is reachable by others and no key is set",
            "anyone who reaches the port could use the model and end it",
            "--insecure" if card else "--host 127.0.0.1, or --api-key-file FILE, or --insecure",
        )
    elif settings.has_key and not settings.guard and not card:
        yield Finding(
            "key-without-guard",
            "address",
            "blocker",
            "a key is set and the guard is off",
            "the guard is what asks for the key",
            "--guard",
        )
    elif beyond:
        yield Finding(
            "open-to-neighbours",
            "address",
            "warning",
            f"{where} is reachable by others",
            "a key is asked for, but nothing is encrypted" if settings.has_key else "whoever reaches it may use it",
            "leave --profile model-card away" if card else "--host 127.0.0.1",
        )


def check_key_file(path: str, problem: str) -> Iterator[Finding]:
    """The key file that the settings name; `problem` says why it cannot be used, or is empty.

    The fix writes into no file that is there: it may hold something else.
    """
    if not problem:
        yield Finding("api-key-file", "address", "ok", f"the key file {path} can be used")
        return
    yield Finding(
        "api-key-file",
        "address",
        "blocker",
        f"the key file {path} cannot be used",
        problem,
        f"(umask 077; openssl rand -hex 24 > {shlex.quote(path)})"
        if "No such file" in problem
        else "--api-key-file FILE   (a file with a key: openssl rand -hex 24)",
    )


def check_port(settings: Settings, use: PortUse) -> Iterator[Finding]:
    """The port: free, held by somebody who is named, or ours already."""
    place = f"{settings.host}:{settings.port}"
    if use.refusal:
        fix = "--host 127.0.0.1 --port 9999"
        yield Finding("address", "address", "blocker", f"{place} cannot be bound", use.refusal, fix)
    elif use.replaced:
        yield Finding("port", "address", "ok", f"{place}: `{settings.name}` is there")
    elif use.holder is None:
        yield Finding("port", "address", "ok", f"{place} is free")
    else:
        yield Finding(
            "port-taken",
            "address",
            "blocker",
            f"port {use.holder.port} is held by {_named(use, use.holder)}",
            "two servers cannot share it",
            f"--port {use.free}" if use.free else "--port ANOTHER",
        )


def _named(use: PortUse, holder: PortHolder) -> str:
    """A deployment or container by its name, else a process as far as the system tells."""
    if use.deployment and use.container:
        return f"the container `{use.container}`, a deployment of yours"
    if use.container:
        return f"the container `{use.container}`"
    process = f"the process {holder.process} (pid {holder.pid})" if holder.process else ""
    if use.deployment:
        return f"the deployment `{use.deployment}`" + (f", {process}" if process else "")
    return process or "another process, which the system does not name to this user"
