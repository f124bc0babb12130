"""A request turned away: a value, and how it goes over the wire in OpenAI's error shape."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .asgi import Send


@dataclass(frozen=True, slots=True)
class Refusal:
    """HTTP `status`, OpenAI's error `code`, a `message` that says what to do, and headers of its own."""

    status: int
    code: str
    message: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


async def send_refusal(refusal: Refusal, send: Send) -> None:
    """Answer one HTTP request with `refusal`."""
    kind = "server_error" if refusal.status >= 500 else "invalid_request_error"
    error = {"message": refusal.message, "type": kind, "param": None, "code": refusal.code}
    body = json.dumps({"error": error}).encode()
    await send(
        {
            "type": "http.response.start",
            "status": refusal.status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                *refusal.headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
