"""vLLM's routes."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import time
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from . import conversation, replies, streaming, tokens
from .authentication import AuthenticationMiddleware
from .engine import EngineDeadError
from .requests import BadRequestError, Tokenization, invalid

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from starlette.requests import Request

    from ..plan.chat_template import ChatTemplate
    from .engine import Engine
    from .metrics import Metrics
    from .options import EngineOptions
    from .settings import RehearsalSettings

CLIENT_IS_GONE = 499


class Api:
    """The endpoints over one engine."""

    def __init__(
        self,
        options: EngineOptions,
        settings: RehearsalSettings,
        template: ChatTemplate,
        engine: Engine,
        metrics: Metrics,
        version: str,
    ) -> None:
        self._options = options
        self._settings = settings
        self._template = template
        self._engine = engine
        self._metrics = metrics
        self._version = version
        self._created = int(time.time())

    def routes(self) -> list[Route]:
        """Every path that is answered."""
        return [
            Route("/health", self.health, methods=["GET"]),
            Route("/ping", self.health, methods=["GET", "POST"]),
            Route("/version", self.version, methods=["GET"]),
            Route("/load", self.load, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
            Route("/v1/models", self.models, methods=["GET"]),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/invocations", self.chat, methods=["POST"]),
            Route("/tokenize", self.tokenize, methods=["POST"]),
        ]

    async def health(self, _: Request) -> Response:
        """200 with an empty body while the engine core lives."""
        return Response(status_code=self._engine.health)

    async def version(self, _: Request) -> Response:
        """The version, marked as a rehearsal's."""
        return JSONResponse({"version": self._version})

    async def load(self, _: Request) -> Response:
        """Requests in flight, counted only with `--enable-server-load-tracking`."""
        tracked = self._options.enable_server_load_tracking
        return JSONResponse({"server_load": self._engine.in_flight if tracked else 0})

    async def metrics(self, _: Request) -> Response:
        """Prometheus' text format."""
        return Response(self._metrics.exposition(), media_type="text/plain; version=1.0.0; charset=utf-8")

    async def models(self, _: Request) -> Response:
        """The served names."""
        names, root = self._options.served_model_names, self._options.model
        return JSONResponse(replies.models(names, root, self._options.max_model_len, self._created))

    async def tokenize(self, request: Request) -> Response:
        """Words in the place of tokens, and the prompt that was rendered."""
        body = await _body(request)
        try:
            wanted = Tokenization.model_validate(body)
        except ValidationError as error:
            raise invalid(error) from None
        conversation.known_model(wanted.model, self._options)
        if wanted.prompt is None:
            prompt = await run_in_threadpool(conversation.render_body, self._template, body, self._options)
        else:
            prompt = wanted.prompt
        pieces = tokens.split(prompt)
        return JSONResponse(
            {
                "count": len(pieces),
                "max_model_len": self._options.max_model_len,
                "tokens": [tokens.identifier(piece) for piece in pieces],
                "token_strs": pieces if wanted.return_token_strs else None,
                "prompt": prompt,
            }
        )

    async def chat(self, request: Request) -> Response:
        """A chat completion, whole or streamed."""
        body = await _body(request)
        turn = await run_in_threadpool(
            conversation.prepare, body, self._template, self._engine, self._options, self._settings
        )
        if self._options.enable_log_requests:
            conversation.announce(turn)
        split = self._options.reasoning_parser is not None
        if turn.request.stream:
            events = streaming.events(turn, self._engine, split_thinking=split)
            return StreamingResponse(events, media_type="text/event-stream")
        return await _unless_gone(request, self._whole(turn, split_thinking=split))

    async def _whole(self, turn: conversation.Turn, *, split_thinking: bool) -> Response:
        return JSONResponse(await streaming.whole(turn, self._engine, split_thinking=split_thinking))


def build(api: Api, options: EngineOptions) -> Starlette:
    """The application, with vLLM's middleware: `--middleware` outermost, then the API key, then CORS.

    Raises ImportError, AttributeError or ValueError for a `--middleware` that cannot be used.
    """
    app = Starlette(
        routes=api.routes(),
        exception_handlers={
            BadRequestError: _refused,
            EngineDeadError: _engine_died,
            HTTPException: _no_such_route,
        },
    )
    app.add_middleware(
        CORSMiddleware,
        allow_origins=options.allowed_origins,
        allow_methods=options.allowed_methods,
        allow_headers=options.allowed_headers,
        allow_credentials=options.allow_credentials,
    )
    if options.api_keys:
        app.add_middleware(AuthenticationMiddleware, keys=options.api_keys, root_path=options.root_path)
    for name in options.middleware:
        app.add_middleware(_imported(name))
    app.middleware_stack = app.build_middleware_stack()
    return app


def _imported(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    middleware = getattr(importlib.import_module(module), attribute)
    if not inspect.isclass(middleware):
        raise ValueError(f"Invalid middleware {name}. Must be a class.")
    return middleware


async def _body(request: Request) -> Mapping[str, Any]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise BadRequestError("Unsupported Media Type: Only 'application/json' is allowed")
    try:
        body = await request.json()
    except ValueError as error:
        raise BadRequestError(f"JSON decode error: {error}", param="body") from None
    if not isinstance(body, dict):
        raise BadRequestError("Input should be a valid dictionary", param="body")
    return body


async def _unless_gone(request: Request, answer: Coroutine[Any, Any, Response]) -> Response:
    """Answer, but stop when the client hangs up."""
    answering = asyncio.ensure_future(answer)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return answering.result() if answering.done() else Response(status_code=CLIENT_IS_GONE)
    finally:
        answering.cancel()
        leaving.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, BadRequestError)  # noqa: S101 - as registered
    return JSONResponse(replies.error(error.message, error.status, error.param), error.status)


async def _engine_died(_: Request, __: Exception) -> Response:
    return JSONResponse(replies.error(streaming.DEATH, 500), 500)


async def _no_such_route(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as registered
    return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)
