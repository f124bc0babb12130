"""The door: which requests reach the engine. Pure; a request is judged by its ASGI scope alone.

Only `scope["path"]` and the request's own headers count. The Host header has no say: an engine that builds
its URL from it can be talked out of its key check (CVE-2026-48746).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from .refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .asgi import Scope
    from .config import GuardConfig
    from .keys import ApiKeys

ROUTES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "/": ("GET", "HEAD"),
        "/health": ("GET",),
        "/ping": ("GET", "POST"),
        "/version": ("GET",),
        "/v1/models": ("GET",),
        "/v1/chat/completions": ("POST",),
        "/v1/completions": ("POST",),
        "/v1/audio/transcriptions": ("POST",),
        "/tokenize": ("POST",),
        "/metrics": ("GET",),
    }
)
"""The routes that an ordinary client needs, with the methods vLLM gives them; the guard itself serves the page
at `/` and transcriptions."""

KEYLESS_ROUTES = frozenset({"/", "/health", "/ping"})
"""Open without a key: health checks tell nothing but alive or dead, the page holds nothing and asks for the key."""


def judge(config: GuardConfig, scope: Scope) -> Refusal | None:
    """Why the HTTP request in `scope` is turned away, or None where it may pass."""
    routes = routes_of(config)
    path = route_path(scope)
    if path not in routes:
        return _no_such_route(routes)
    if scope["method"] not in routes[path]:
        return _wrong_method(routes[path])
    if config.keys is None or path in KEYLESS_ROUTES:
        return None
    return _judge_key(config.keys, scope)


def routes_of(config: GuardConfig) -> Mapping[str, tuple[str, ...]]:
    """The routes that are served, with their methods."""
    if config.metrics and config.page:
        return ROUTES
    shut = {"/metrics": not config.metrics, "/": not config.page}
    return {path: methods for path, methods in ROUTES.items() if not shut.get(path)}


def route_path(scope: Scope) -> str:
    """The path as the engine's router will match it: percent-decoded, less the `--root-path`.

    Same rule as Starlette's `get_route_path`, so that both always speak of the same route.
    """
    path: str = scope["path"]
    root = scope.get("root_path", "")
    if root and (path == root or path.startswith(f"{root}/")):
        return path[len(root) :]
    return path


def _judge_key(keys: ApiKeys, scope: Scope) -> Refusal | None:
    credentials = [value for name, value in scope["headers"] if name == b"authorization"]
    if not credentials:
        return _unauthorized("missing_api_key", "This server needs an API key.")
    scheme, _, key = credentials[0].partition(b" ")
    if len(credentials) > 1 or scheme.lower() != b"bearer" or not keys.accept(key.strip()):
        return _unauthorized("invalid_api_key", "The API key is not one of this server's.")
    return None


def _unauthorized(code: str, what: str) -> Refusal:
    return Refusal(
        status=401,
        code=code,
        message=f"{what} Send it once, as the header 'Authorization: Bearer KEY' "
        "(in OpenAI's clients: api_key); whoever runs the server has the key.",
        headers=((b"www-authenticate", b"Bearer"),),
    )


def _no_such_route(routes: Mapping[str, tuple[str, ...]]) -> Refusal:
    served = ", ".join(f"{method} {path}" for path, methods in routes.items() for method in methods)
    return Refusal(404, "unknown_url", f"There is no such route here. The routes are, exactly: {served}.")


def _wrong_method(allowed: tuple[str, ...]) -> Refusal:
    methods = ", ".join(allowed)
    return Refusal(
        status=405,
        code="method_not_allowed",
        message=f"This route is called with {methods}.",
        headers=((b"allow", methods.encode()),),
    )
