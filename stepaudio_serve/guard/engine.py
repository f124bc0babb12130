"""The engine's own routes, called inside the process."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .door import route_path
from .failure import log_failure
from .headers import values
from .reply.sse import dump

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .asgi import App, Message, Scope

LARGEST_ANSWER = 64 << 20
"""Bytes; the tokens of a long text are many numbers, and so are the engine's metrics."""

PATIENCE_SECONDS = 10.0
"""After this long, the engine has not answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine answered: the status, the headers, the whole body."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def rerouted(scope: Scope, path: str, headers: list[tuple[bytes, bytes]], method: str | None = None) -> dict[str, Any]:
    """The request of `scope`, turned to another route below the same root."""
    full: str = scope["path"]
    target = full[: len(full) - len(route_path(scope))] + path
    return {
        **scope,
        "method": method or scope["method"],
        "path": target,
        "raw_path": quote(target).encode(),
        "headers": headers,
    }


async def call(app: App, scope: Scope, method: str, path: str, body: bytes = b"") -> Answer | None:
    """Ask the engine in the name of the client of `scope`, with its key; None where there is no whole answer."""
    headers = [(b"authorization", key) for key in values(scope, b"authorization")]
    headers += [(b"host", host) for host in values(scope, b"host")]
    if body:
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    request = rerouted(scope, path, headers, method) | {"query_string": b"", "extensions": {}}
    try:
        return await asyncio.wait_for(_collect(app, request, body), PATIENCE_SECONDS)
    except (asyncio.TimeoutError, OSError):
        return None
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the engine, there is no answer
        log_failure(f"the engine failed on {method} {path}, which the guard asked", error)
        return None


async def _collect(app: App, scope: Scope, body: bytes) -> Answer | None:
    asked = False
    start: Message = {}
    received = bytearray()

    async def receive() -> Message:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        elif message["type"] == "http.response.body":
            received.extend(message.get("body", b""))
            if len(received) > LARGEST_ANSWER:
                raise OSError("the engine's answer is too large")

    await app(scope, receive, send)
    return Answer(start["status"], tuple(start.get("headers", ())), bytes(received))


class ContextLength:
    """The engine's `max_model_len`: it never changes, so it is asked for until it is known."""

    def __init__(self) -> None:
        self.tokens: int | None = None

    async def ask(self, app: App, scope: Scope) -> int | None:
        """In tokens; None where the engine does not say."""
        if self.tokens is None:
            models = _read(await call(app, scope, "GET", "/v1/models"))
            entries = models.get("data")
            first = entries[0] if isinstance(entries, list) and entries else None
            self.tokens = _count(first, "max_model_len")
        return self.tokens


class ClientsEngine:
    """`EngineFacts`, asked in the name of one client."""

    def __init__(self, app: App, scope: Scope, length: ContextLength) -> None:
        self._app = app
        self._scope = scope
        self._length = length

    async def max_model_len(self) -> int | None:
        """The context in tokens; None where the engine does not say."""
        return await self._length.ask(self._app, self._scope)

    async def count_tokens(self, request: Mapping[str, Any]) -> int | None:
        """The tokens of a `/tokenize` request; None where the engine cannot count."""
        return _count(_read(await call(self._app, self._scope, "POST", "/tokenize", dump(request))), "count")


def _read(answer: Answer | None) -> dict[str, Any]:
    if answer is None or answer.status != 200:
        return {}
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _count(found: object, name: str) -> int | None:
    count = found.get(name) if isinstance(found, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None
