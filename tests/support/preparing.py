"""Requests given to the guard as clients send them, and what it makes of them."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stepaudio_serve.guard.config import GuardConfig, Limits
from stepaudio_serve.guard.refusal import Refusal, RefusedError
from stepaudio_serve.guard.request.decoding import DecoderPool
from stepaudio_serve.guard.request.prepare import prepare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stepaudio_serve.guard.prepared import Prepared

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
TOKENIZE = "/tokenize"
TRANSCRIPTIONS = "/v1/audio/transcriptions"


@dataclass
class Engine:
    """What an engine says of itself; `counted` keeps what it was asked to count."""

    context: int | None = 16384
    tokens: int | None = 50
    counted: list[Mapping[str, Any]] = field(default_factory=list)

    async def max_model_len(self) -> int | None:
        return self.context

    async def count_tokens(self, request: Mapping[str, Any]) -> int | None:
        self.counted.append(request)
        return self.tokens


def outcome(
    body: object,
    path: str = CHAT,
    *,
    content_type: str = "application/json",
    config: GuardConfig | None = None,
    engine: Engine | None = None,
) -> Prepared | Refusal:
    """What becomes of a request, with audio really decoded; `body` is bytes, or what is to be sent as JSON."""
    config = config or GuardConfig()
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def ask() -> Prepared:
        pool = DecoderPool(config.limits)
        try:
            return await prepare(
                path, content_type, sent, config=config, decoder=pool, engine=Engine() if engine is None else engine
            )
        finally:
            pool.close()

    try:
        return asyncio.run(ask())
    except RefusedError as error:
        return error.refusal


def prepared(body: object, path: str = CHAT, **how: Any) -> Prepared:
    """The request as it goes on; it must not be refused."""
    result = outcome(body, path, **how)
    assert not isinstance(result, Refusal), result.message
    return result


def refusal(body: object, path: str = CHAT, **how: Any) -> Refusal:
    """Why the request is refused; it must not go on."""
    result = outcome(body, path, **how)
    assert isinstance(result, Refusal), "it went on"
    return result


def sent(body: object, path: str = CHAT, **how: Any) -> dict[str, Any]:
    """The JSON that the engine gets."""
    request: dict[str, Any] = json.loads(prepared(body, path, **how).body)
    return request


def question(*content: Any, role: str = "user", **fields: Any) -> dict[str, Any]:
    """A chat request of one message."""
    held = content[0] if len(content) == 1 and isinstance(content[0], str) else list(content)
    return {"messages": [{"role": role, "content": held}], **fields}


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def input_audio(data: bytes, form: str = "wav") -> dict[str, Any]:
    """OpenAI's audio part."""
    return {"type": "input_audio", "input_audio": {"data": base64_of(data), "format": form}}


def limited(**limits: Any) -> GuardConfig:
    """A configuration with other limits."""
    return GuardConfig(limits=Limits(**limits))
