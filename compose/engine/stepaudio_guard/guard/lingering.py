"""Turning a request away while its body may still be on its way."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from .refusal import messages

if TYPE_CHECKING:
    from .asgi import Scope, Send
    from .body import Upload
    from .refusal import Refusal

SMALL_BODY = 1 << 16
"""Bytes; a server throws away so much by itself."""

LINGER_SECONDS = 10.0
LINGER_BYTES = 256 << 20
"""How long, and for how many bytes, a client that is turned away may go on sending before it is cut off."""


async def turn_away(refusal: Refusal, scope: Scope, upload: Upload, send: Send) -> None:
    """Answer with `refusal`.

    A client reads an answer only once it has sent its request, and a connection that is closed before loses the
    answer. So the whole answer is sent, the rest of a large body is thrown away within bounds, and only then is
    the connection closed.
    """
    start, body = messages(refusal)
    closes = any(name == b"connection" for name, _ in refusal.headers)
    small = upload.announced is not None and upload.announced <= SMALL_BODY
    if upload.ended or small or closes or not scope.get("http_version", "1.1").startswith("1"):
        await send(start)
        await send(body)
        return
    await send({**start, "headers": [*start["headers"], (b"connection", b"close")]})
    await send({**body, "more_body": True})
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(_throw_away(upload), LINGER_SECONDS)
    await send({"type": "http.response.body", "body": b""})


async def _throw_away(upload: Upload) -> None:
    thrown = 0
    while not upload.ended and thrown < LINGER_BYTES:
        thrown += len((await upload()).get("body", b""))
