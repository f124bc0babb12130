"""Reading a request's body: within its bounds, and within a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .headers import content_length, value
from .refusal import Refusal, RefusedError

if TYPE_CHECKING:
    from .admission import Room
    from .asgi import Message, Receive, Scope
    from .config import Limits


GRACE_SECONDS = 10.0
LEAST_BYTES_PER_SECOND = 1024
"""After the grace, a body that has brought less than this on average is given up; a telephone modem brings more."""


class Upload:
    """The client's `receive`, which knows whether all of the body has come."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self.announced = content_length(scope)
        self.encoding = value(scope, b"content-encoding").lower()
        self.ended = self.announced in {None, 0} and not value(scope, b"transfer-encoding")

    async def __call__(self) -> Message:
        """The next message of the client."""
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self.ended = True
        return message


class ClientGoneError(Exception):
    """The client has left before the engine heard of its request."""


async def read_body(upload: Upload, limits: Limits, room: Room) -> bytes:
    """The whole body.

    Raises RefusedError where it is too large (413), too slow (408), compressed (415) or there is no room for it
    (429), and ClientGoneError.
    """
    if upload.encoding not in {b"", b"identity"}:
        raise RefusedError(_COMPRESSED)
    if upload.announced is not None:
        _check_size(upload.announced, limits)
        room.check(upload.announced)
    return await _read(upload, limits, room)


async def _read(receive: Receive, limits: Limits, room: Room) -> bytes:
    body = bytearray()
    clock = asyncio.get_running_loop().time
    began = clock()
    while True:
        patience = min(limits.body_timeout, max(GRACE_SECONDS, len(body) / LEAST_BYTES_PER_SECOND))
        try:
            message = await asyncio.wait_for(receive(), began + patience - clock())
        except asyncio.TimeoutError:
            raise RefusedError(_too_slow(patience)) from None
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        piece = message.get("body", b"")
        _check_size(len(body) + len(piece), limits)
        room.take(len(piece))
        if not body and not message.get("more_body", False):
            return bytes(piece)
        body += piece
        if not message.get("more_body", False):
            return bytes(body)


def _check_size(size: int, limits: Limits) -> None:
    if size > limits.request_bytes:
        raise RefusedError(
            Refusal(
                status=413,
                code="request_too_large",
                message=f"The request is larger than {limits.request_bytes} bytes, the most that is taken at a time. "
                "Send less audio in one request, or send it compressed (MP3, OGG, FLAC).",
            )
        )


_COMPRESSED = Refusal(
    status=415,
    code="unsupported_encoding",
    message="Compressed requests are not taken: they can unfold without bound. Send the body as it is, without the "
    "header Content-Encoding; audio in it may be MP3, OGG or FLAC.",
)


def _too_slow(seconds: float) -> Refusal:
    return Refusal(
        status=408,
        code="request_too_slow",
        message=f"The request had not arrived after {seconds:.3g} s. Send it again, with less in it, and at "
        f"{LEAST_BYTES_PER_SECOND} bytes a second or faster.",
        headers=((b"connection", b"close"),),
    )
