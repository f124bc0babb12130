"""A request on its way to the engine: as the client sent it but for what the guard decides."""

from __future__ import annotations

import asyncio
import re
import secrets
from typing import TYPE_CHECKING, Any, TypeVar

from .body import ClientGoneError
from .engine import rerouted
from .headers import value, without

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .asgi import Message, Receive, Scope
    from .prepared import Prepared

PROMPT_SECONDS = 0.05
"""What takes no longer is finished even for a client that left meanwhile."""

_PASSED = frozenset(
    {b"authorization", b"host", b"user-agent", b"accept", b"accept-language", b"traceparent", b"tracestate"}
)
"""The client's headers that the engine gets, beside X-Forwarded-*. By others it lets a client choose a priority, a
session or an engine core, or would answer in a way that cannot be read here."""

_JSON = (b"content-type", b"application/json")

_T = TypeVar("_T")


def without_origin(scope: Scope) -> Scope:
    """The request, without the header that the engine's own CORS would answer."""
    if not value(scope, b"origin"):
        return scope
    return {**scope, "headers": without(scope["headers"], {b"origin"})}


def prepared_scope(scope: Scope, prepared: Prepared) -> dict[str, Any]:
    """The request that the engine gets in the place of the client's."""
    headers = [(name, said) for name, said in scope["headers"] if name in _PASSED or name.startswith(b"x-forwarded-")]
    headers += [_JSON, (b"content-length", str(len(prepared.body)).encode())]
    if name := value(scope, b"x-request-id"):
        headers.append((b"x-request-id", unique_id(name)))
    return rerouted(scope, prepared.path, headers)


def unique_id(name: bytes) -> bytes:
    """A request's name for the engine, which confuses two requests of one name."""
    return re.sub(rb"[^A-Za-z0-9._-]", b"", name[:64]) + b"-" + secrets.token_hex(4).encode()


def with_body(body: bytes, receive: Receive, given: Callable[[], None]) -> Receive:
    """A `receive` that gives `body` and calls `given`, then what the client still says: that it has left."""
    held = [body]

    async def first_the_body() -> Message:
        if not held:
            return await receive()
        given()
        return {"type": "http.request", "body": held.pop(), "more_body": False}

    return first_the_body


async def unless_gone(work: Coroutine[Any, Any, _T], receive: Receive) -> _T:
    """The result of `work`, which is given up when the client leaves. Raises ClientGoneError then."""
    working = asyncio.ensure_future(work)
    leaving: asyncio.Future[None] | None = None
    try:
        await asyncio.wait({working}, timeout=PROMPT_SECONDS)
        if not working.done():
            leaving = asyncio.ensure_future(_left(receive))
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGoneError
        return working.result()
    finally:
        if leaving is not None:
            leaving.cancel()
        if working.cancel():  # it holds what it was given until it has really ended
            await asyncio.wait({working})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
