"""The guard as pure ASGI middleware: what the server is given, and how it starts."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from .config import GuardConfig, read_config
from .errors import GuardConfigError
from .refusal import Refusal, send_refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from .asgi import App, Message, Receive, Scope, Send
    from .edge import Edge

_POLICY_VIOLATION = 1008
"""WebSocket close code (RFC 6455, 7.4.1); before the handshake a server answers it with HTTP 403."""

_SHUT = Refusal(503, "guard_misconfigured", "The server's guard is misconfigured; the server's log says how.")


class Guard:
    """Stands between the server and `app`, an engine with OpenAI's routes.

    The environment is read once, here. A wrong configuration does not raise: where the server builds its
    middleware only when it starts (vLLM of August 2025), an exception here is taken for "no lifespan support"
    and the server stays up, answering 500. Instead start-up is refused in ASGI's own words, which ends the
    server with the reason in its log; and until then nothing gets in.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._problem = ""
        self._close: Callable[[], None] | None = None
        try:
            edge = _edge(app, read_config(os.environ))
            self._edge: App = edge
            self._close = edge.close
        except GuardConfigError as error:
            self._problem, self._edge = str(error), _shut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge one connection; no WebSocket route is on the list, so none is let in."""
        if scope["type"] == "lifespan":
            await self._start(scope, receive, send)
        elif scope["type"] == "http":
            await self._edge(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    async def _start(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._problem:
            await self._app(scope, receive, partial(self._until_shutdown, send))
            return
        await receive()
        await send({"type": "lifespan.startup.failed", "message": f"stepaudio guard: {self._problem}"})

    async def _until_shutdown(self, send: Send, message: Message) -> None:
        if message["type"].startswith("lifespan.shutdown") and self._close is not None:
            self._close()
        await send(message)


def _edge(app: App, config: GuardConfig) -> Edge:
    try:
        from .edge import Edge  # the command line asks this package for names only
    except (ImportError, OSError) as error:  # soundfile raises OSError where libsndfile is missing
        raise GuardConfigError(
            f"what decodes audio cannot be loaded ({error}); install it where the engine is: pip install 'vllm[audio]'"
        ) from error

    return Edge(app, config)


async def _shut(_: Scope, __: Receive, send: Send) -> None:
    await send_refusal(_SHUT, send)
