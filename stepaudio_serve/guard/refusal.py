"""A request turned away: a value, how it is raised, and how it goes over the wire in OpenAI's error shape."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .asgi import Message, Send


@dataclass(frozen=True, slots=True)
class Refusal:
    """HTTP `status`, OpenAI's error `code`, a `message` that says what to do, and headers of its own.

    `param` names the part at fault, as in `messages[1].content[0]`.
    """

    status: int
    code: str
    message: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    param: str | None = None

    @property
    def body(self) -> bytes:
        """OpenAI's error object."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        error = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return json.dumps({"error": error}).encode()


class RefusedError(Exception):
    """Raised while a request is read or prepared: it is answered with `refusal` and never reaches the engine."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def bad_request(code: str, message: str, param: str | None = None, *, status: int = 400) -> RefusedError:
    """The error to raise for a fault in the request itself."""
    return RefusedError(Refusal(status, code, message, param=param))


def messages(refusal: Refusal) -> list[Message]:
    """The ASGI messages that answer one HTTP request with `refusal`."""
    body = refusal.body
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *refusal.headers]
    return [
        {"type": "http.response.start", "status": refusal.status, "headers": headers},
        {"type": "http.response.body", "body": body},
    ]


async def send_refusal(refusal: Refusal, send: Send) -> None:
    """Answer one HTTP request with `refusal`."""
    for message in messages(refusal):
        await send(message)
