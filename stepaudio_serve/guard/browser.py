"""What a browser may do that its user did not ask for: a page elsewhere calls a server on this machine.

A browser sends some requests of a foreign page without asking for leave (forms among them) and only hides the
answer, so such requests are turned away. Browsers say where a request comes from in `Sec-Fetch-Site`
(https://w3c.github.io/webappsec-fetch-metadata/), or at least in `Origin`.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .cors import ANY, allowed_origin
from .headers import value, values
from .refusal import Refusal

if TYPE_CHECKING:
    from .asgi import Scope

_READING = frozenset({"GET", "HEAD"})


def judge_browser(scope: Scope, origins: tuple[str, ...], path: str) -> Refusal | None:
    """Why a request of a foreign page is turned away; None where the request may pass."""
    if allowed_origin(scope, origins) is not None or not _is_foreign(scope):
        return None
    if path == "/" and scope["method"] in _READING and value(scope, b"sec-fetch-mode") == b"navigate":
        return None
    return Refusal(
        status=403,
        code="cross_origin_request",
        message="A page of another origin made this request, and its origin is not one of those that may. "
        "Whoever runs the server can allow it: --guard-cors-origins ORIGIN, or STEPAUDIO_GUARD_CORS_ORIGINS.",
    )


def _is_foreign(scope: Scope) -> bool:
    """A foreign page's request that only reads and has no `cross-site` is let through: it cannot see the answer."""
    site = value(scope, b"sec-fetch-site")
    if site == b"cross-site":
        return True
    origin = value(scope, b"origin")
    if site in {b"same-origin", b"none"} or not origin or scope["method"] in _READING:
        return False
    return origin.partition(b"://")[2].lower() != value(scope, b"host").lower()


def judge_host(scope: Scope, origins: tuple[str, ...]) -> Refusal | None:
    """Why a browser's request under a name that may be anybody's is turned away; for a server without a key.

    A page can have its own name point to this machine once it is loaded (DNS rebinding); its requests then are of one
    origin with the server. An address, and `localhost`, cannot be made to.
    """
    if not _is_browser(scope) or allowed_origin(scope, origins) is not None or ANY in origins:
        return None
    hosts = values(scope, b"host")
    name = _host_name(f"//{hosts[0].decode('latin-1')}") if len(hosts) == 1 else ""
    if _is_local_or_address(name) or (name and name in {_host_name(origin) for origin in origins}):
        return None
    return Refusal(
        status=403,
        code="unknown_host",
        message="This server has no API key, so a browser may call it by its address or as localhost only: any page "
        "could take another name. Whoever runs the server can set a key (--api-key-file), or name the origin: "
        "--guard-cors-origins ORIGIN, or STEPAUDIO_GUARD_CORS_ORIGINS.",
    )


def _is_browser(scope: Scope) -> bool:
    return any(name == b"origin" or name.startswith(b"sec-fetch-") for name, _ in scope["headers"])


def _host_name(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_local_or_address(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
