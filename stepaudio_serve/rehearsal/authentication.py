"""vLLM's `--api-key`: a bearer token for `/v1*`, and only for that."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send


class AuthenticationMiddleware:
    """Answers 401 to requests below `/v1` without one of `keys`; everything else stays open, as in vLLM."""

    def __init__(self, app: ASGIApp, keys: Sequence[str], root_path: str) -> None:
        self._app = app
        self._keys = tuple(key.encode() for key in keys)
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if self._is_guarded(scope) and not self._is_allowed(Headers(scope=scope).get("authorization", "")):
            await JSONResponse({"error": "Unauthorized"}, status_code=401)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_guarded(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["method"] == "OPTIONS":
            return False
        path: str = scope["path"].removeprefix(self._root_path)
        return path.startswith("/v1")

    def _is_allowed(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and any(secrets.compare_digest(token.encode(), key) for key in self._keys)
