"""Leave for pages of other origins to call, where it is configured (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .headers import value, values

if TYPE_CHECKING:
    from .asgi import Scope
    from .headers import Headers

ANY = "*"

_EXPOSED = b"x-stepaudio-max-tokens, x-stepaudio-notice, x-request-id, retry-after"
_PREFLIGHT_SECONDS = b"600"


def allowed_origin(scope: Scope, origins: tuple[str, ...]) -> bytes | None:
    """The request's origin, where it is one of `origins`; None where it is not, or there is none."""
    named = values(scope, b"origin")
    if len(named) != 1 or not origins:
        return None
    return named[0] if ANY in origins or named[0].decode("latin-1") in origins else None


def is_preflight(scope: Scope) -> bool:
    """Whether a browser asks for leave, before the request itself."""
    return scope["method"] == "OPTIONS" and value(scope, b"access-control-request-method") != b""


def leave(origin: bytes, origins: tuple[str, ...]) -> Headers:
    """The headers that let a page of `origin` read an answer. No cookies: the key is what opens the door."""
    if ANY in origins:
        return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _EXPOSED)]
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", _EXPOSED),
        (b"vary", b"Origin"),
    ]


def preflight_leave(methods: tuple[str, ...]) -> Headers:
    """What else answers a preflight. The star stands for every header but Authorization."""
    return [
        (b"access-control-allow-methods", ", ".join(methods).encode()),
        (b"access-control-allow-headers", b"Authorization, *"),
        (b"access-control-max-age", _PREFLIGHT_SECONDS),
    ]
