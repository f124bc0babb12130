"""What a browser may do that its user did not ask for: a page elsewhere calls a server on this machine.

A browser sends some requests of a foreign page without asking for leave (forms among them) and only hides the
answer, so such requests are turned away. Browsers say where a request comes from in `Sec-Fetch-Site`
(https://w3c.github.io/webappsec-fetch-metadata/), or at least in `Origin`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .cors import allowed_origin
from .headers import value
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
