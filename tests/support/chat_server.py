"""A chat endpoint in this process that says what a test scripts, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request

Answering: TypeAlias = Callable[[dict[str, Any]], "Response | Sequence[object]"]

HANG = object()
"""In a script: say nothing more and keep the connection."""

BREAK = object()
"""In a script: drop the connection."""


@dataclass
class ChatServer:
    """`url` is the endpoint; `requests` are the bodies and headers that came; `gone` is set when a client left."""

    url: str
    reply: Response | Sequence[object] | Answering = ()
    pause: float = 0.0
    requests: list[tuple[dict[str, Any], dict[str, str]]] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)
    context: int | None = None

    def forget(self) -> ChatServer:
        """As new, for the next test."""
        self.reply, self.pause, self.requests, self.gone = (), 0.0, [], threading.Event()
        self.context = None
        return self

    def answers(self, answering: Answering) -> ChatServer:
        """Make each answer of its request: a script as `says` takes it, or a response."""
        self.reply = answering
        return self

    def says(self, *script: object) -> ChatServer:
        """Stream this: dicts as events, strings as event data, bytes as they are, HANG, BREAK."""
        self.reply = script
        return self

    def drips(self, step: object, *, every: float) -> ChatServer:
        """Stream the same for a long time, with pauses (seconds)."""
        self.pause = every
        return self.says(*[step] * 1000)

    def refuses(self, status: int, body: object) -> ChatServer:
        self.reply = JSONResponse(body, status) if not isinstance(body, str) else Response(body, status)
        return self

    async def take(self, request: Request) -> Response:
        self.requests.append((await request.json(), dict(request.headers)))
        reply = self.reply
        if not isinstance(reply, Response | Sequence):
            reply = await asyncio.to_thread(reply, self.requests[-1][0])
        if isinstance(reply, Response):
            return reply
        return StreamingResponse(self._stream(reply, self.gone), media_type="text/event-stream")

    async def models(self, _request: Request) -> Response:
        return JSONResponse({"data": [{"id": "Step-Audio-R1", "max_model_len": self.context}]})

    async def _stream(self, script: Sequence[object], gone: threading.Event) -> AsyncIterator[bytes]:
        try:
            for step in script:
                if step is HANG:
                    await asyncio.sleep(3600)
                elif step is BREAK:
                    raise ConnectionAbortedError
                else:
                    yield as_bytes(step)
                await asyncio.sleep(self.pause)
        except (asyncio.CancelledError, GeneratorExit):
            gone.set()
            raise


def as_bytes(step: object) -> bytes:
    if isinstance(step, bytes):
        return step
    data = step if isinstance(step, str) else json.dumps(step, ensure_ascii=False)
    return f"data: {data}\n\n".encode()


def piece(content: str | None = None, **delta: object) -> dict[str, object]:
    """A chunk as the model authors' vLLM sends it, nulls and `tts_content` included."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "choices": [
            {
                "index": 0,
                "delta": {"content": content, "tts_content": {"tts_text": "", "tts_audio": ""}, **delta},
                "logprobs": None,
                "finish_reason": None,
            }
        ],
        "usage": None,
    }


def finish(reason: str = "stop", usage: dict[str, object] | None = None) -> list[object]:
    """The end of a stream as vLLM sends it: the reason, the usage without choices, the mark."""
    last = {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": reason, "stop_reason": None}]}
    counts = {"choices": [], "usage": usage or {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}
    return [last, counts, "[DONE]"]


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = ChatServer(f"http://127.0.0.1:{listening.getsockname()[1]}")
        app = Starlette(
            routes=[
                Route("/v1/chat/completions", server.take, methods=["POST"]),
                Route("/v1/models", server.models),
            ]
        )
        uvicorn_server = uvicorn.Server(
            uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1, lifespan="off")
        )
        thread = threading.Thread(target=uvicorn_server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            uvicorn_server.should_exit = True
            thread.join(10)
