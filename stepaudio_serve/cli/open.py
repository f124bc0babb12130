"""`open`: the page of a deployment, in the browser."""

from __future__ import annotations

import getpass
import os
import shlex
import socket
import sys
from typing import TYPE_CHECKING

import click

from ..errors import RefusedError, StepAudioError, UnhealthyError
from .output import data, document, notice, row
from .selection import json_flag, name_argument, selected_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..runtime.deployment import Deployment

SECONDS = 5.0
"""An engine that serves answers its health check and a static page at once."""


@click.command("open")
@name_argument
@click.option("--endpoint", metavar="URL", help="Open this endpoint's page instead of a deployment's.")
@click.option("--print", "only_print", is_flag=True, help="Print the address and open nothing.")
@json_flag
def command(
    name_given: str | None, name_flag: str | None, endpoint: str | None, only_print: bool, as_json: bool
) -> None:
    """Open the page of a deployment in the browser; where there is none, print its address.

    The page asks for the API key itself: no key is ever part of the address.
    """
    from ..client.wire import chat_url, without_password

    if endpoint and (name_given or name_flag):
        raise click.UsageError("--endpoint does not go with the name of a deployment")
    deployment = None if endpoint else _deployment(name_given, name_flag)
    target = endpoint or (deployment.endpoint if deployment else "")
    url = str(chat_url(target)).removesuffix("v1/chat/completions")
    _check(url, deployment)
    url = without_password(url)
    if as_json:
        document({"url": url})
        return
    data(url)
    if only_print:
        return
    if why := no_browser(os.environ):
        notice(f"no browser is opened: {why}")
        if line := tunnel(url, os.environ):
            notice("from the machine before you, this brings the page there, at the same address:")
            row("type", line, whole=True)
    else:
        click.launch(url)


def no_browser(environ: Mapping[str, str]) -> str:
    """Why no browser can show itself here; empty where one can."""
    if environ.get("BROWSER") or sys.platform != "linux":
        return ""
    if environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"):
        return ""
    return "this is an SSH session" if environ.get("SSH_CONNECTION") else "there is no display"


def tunnel(url: str, environ: Mapping[str, str]) -> str:
    """The `ssh` line that brings a page of this machine's loopback to another; empty where it needs none.

    `SSH_CONNECTION` holds the client's address and port, then the server's.
    """
    import httpx

    from ..client.wire import is_this_machine

    where = httpx.URL(url)
    if not is_this_machine(where.host):
        return ""
    connection = environ.get("SSH_CONNECTION", "").split()
    host, ssh_port = (connection[2], connection[3]) if len(connection) == 4 else (socket.gethostname(), "22")
    port = where.port or (443 if where.scheme == "https" else 80)
    inside = f"[{where.host}]" if ":" in where.host else where.host
    words = ["ssh", "-N", "-L", f"{port}:{inside}:{port}", *([] if ssh_port == "22" else ["-p", ssh_port])]
    return shlex.join([*words, f"{_user()}@{host}"])


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "USER"


def _deployment(name_given: str | None, name_flag: str | None) -> Deployment:
    """The deployment, running. Raises NoSuchDeploymentError, UnhealthyError."""
    from ..runtime.choose import locate

    _, deployment = locate(selected_name(name_given, name_flag))
    if deployment.state != "running":
        raise UnhealthyError(
            f"`{deployment.name}` does not run",
            why="its engine has ended" if deployment.state == "exited" else "it was created and never started",
            fix=f"stepaudio-serve status {deployment.name}",
        )
    return deployment


def _check(url: str, deployment: Deployment | None) -> None:
    """Whether there is a page.

    Raises:
        UnhealthyError: nothing answers, or the engine is not healthy.
        RefusedError: it serves no page.
    """
    import httpx

    from ..client.wire import is_this_machine, without_password

    where, url = httpx.URL(url), without_password(url)
    name = f" {deployment.name}" if deployment else ""
    with httpx.Client(
        timeout=SECONDS, trust_env=not is_this_machine(where.host), verify=where.scheme == "https"
    ) as client:
        try:
            health = client.get(where.join("health"))
            page = client.get(where)
        except httpx.HTTPError as error:
            raise UnhealthyError(
                f"nothing answers at {url}",
                why=str(error) or f"no answer within {SECONDS:g} s",
                fix=f"stepaudio-serve wait{name}" if deployment else f"curl {url}health",
            ) from error
    if health.status_code != 200:
        raise UnhealthyError(
            f"the engine at {url} is not healthy",
            why=f"/health says HTTP {health.status_code}",
            fix=f"stepaudio-serve status{name}" if deployment else f"curl -i {url}health",
        )
    if page.status_code != 200 or not page.headers.get("content-type", "").startswith("text/html"):
        raise _no_page(url, page.status_code, deployment)


def _no_page(url: str, status: int, deployment: Deployment | None) -> StepAudioError:
    """Why there is none: the guard serves it."""
    what = f"there is no page at {url}"
    if deployment is None:
        return RefusedError(
            what,
            why=f"HTTP {status}; the page is served by the guard of this program, where it is not switched off",
            fix=f"stepaudio-serve chat --endpoint {shlex.quote(url.rstrip('/'))}",
        )
    from ..lifecycle.pasteable import up_command

    settings = deployment.settings
    for name, words in (("guard", "the guard"), ("guard_page", "the page")):
        if settings.get(name) is False:
            fix = up_command(settings, "--replace", guard=True, guard_page=True)
            return RefusedError(what, why=f"{words} is switched off in `{deployment.name}`", fix=fix)
    return RefusedError(
        what,
        why=f"HTTP {status}: `{deployment.name}` was started by a version without a page, or not through its guard",
        fix=f"stepaudio-serve restart {deployment.name}",
    )
