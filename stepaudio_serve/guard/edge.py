"""The way of one HTTP request: door, browser rules, admission, body, preparation, engine, and back."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from .admission import Admission
from .body import ClientGoneError, Upload, read_body
from .browser import judge_browser, judge_host
from .cors import allowed_origin, is_preflight, leave, preflight_leave
from .door import judge, route_path, routes_of
from .engine import ClientsEngine, ContextLength, call
from .failure import log_failure
from .forward import prepared_scope, unless_gone, with_body, without_origin
from .headers import value, without
from .lingering import turn_away
from .metrics import Metrics, joined
from .page import load_page
from .refusal import Refusal, RefusedError
from .reply.reply import Reply
from .request.decoding import DecoderPool
from .request.prepare import PATHS, prepare
from .request.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .admission import Room
    from .asgi import App, Message, Receive, Scope, Send
    from .config import GuardConfig
    from .headers import Headers
    from .prepared import Clip, Prepared

READING_THREADS = 2
"""Threads that read and write large JSON."""

_FAILED = Refusal(500, "guard_failed", "The guard failed on this request; the server's log says where.")
_NO_METRICS = Refusal(503, "engine_unavailable", "The engine does not tell its metrics.")


@dataclass(frozen=True, slots=True)
class Passing:
    """A call of the engine."""

    scope: Scope
    receive: Receive
    send: Send


Next: TypeAlias = "Passing | Sequence[Message]"
"""What becomes of a request: the engine is called, or these messages answer it."""


class Edge:
    """Everything between the server and the engine, for one event loop."""

    def __init__(self, app: App, config: GuardConfig) -> None:
        self._app = app
        self._config = config
        self._page = load_page() if config.page else None
        self._routes = routes_of(config)
        self._admission = Admission(config.limits)
        self._decoder = DecoderPool(config.limits)
        self._threads = Threads(READING_THREADS, "stepaudio-read")
        self._length = ContextLength()
        self._metrics = Metrics()
        self._watch()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; what the engine raises goes on to the server."""
        upload, out = Upload(scope, receive), self._outgoing(scope, send)
        with ExitStack() as inside:
            refusal = await self._answer(scope, upload, out, inside)
        if refusal is not None:  # after its places are free: a client that is turned away may linger
            self._metrics.refusals.add(refusal.code)
            await turn_away(refusal, scope, upload, out)

    def close(self) -> None:
        """Let go of the threads."""
        self._decoder.close()
        self._threads.close()

    async def _answer(self, scope: Scope, upload: Upload, out: Send, inside: ExitStack) -> Refusal | None:
        """Answer the request, or say why it is to be turned away."""
        try:
            following = await self._follow(scope, upload, out, inside)
        except RefusedError as refused:
            return refused.refusal
        except ClientGoneError:
            self._metrics.gone.add()
            return None
        except Exception as error:  # noqa: BLE001 - a bug here is not to show as one of the engine's
            log_failure(f"the guard failed on a request to {self._label(scope)}", error)
            self._metrics.failures.add()
            return _FAILED
        if isinstance(following, Passing):
            await self._app(following.scope, following.receive, following.send)
        else:
            for message in following:
                await out(message)
        return None

    async def _follow(self, scope: Scope, upload: Upload, send: Send, inside: ExitStack) -> Next:
        path = route_path(scope)
        origins = self._config.cors_origins
        if is_preflight(scope) and path in self._routes and allowed_origin(scope, origins) is not None:
            headers = preflight_leave(self._routes[path])
            return [{"type": "http.response.start", "status": 204, "headers": headers}, _EMPTY]
        refusal = judge(self._config, scope) or judge_browser(scope, origins, path)
        if refusal is None and self._config.keys is None:
            refusal = judge_host(scope, origins)
        if refusal is not None:
            raise RefusedError(refusal)
        if path in PATHS:
            room = inside.enter_context(self._admission.body())
            prepared = await self._prepare(path, scope, upload, room, inside)
            reply = Reply(prepared, send, self._metrics.failures.add)
            receive = with_body(prepared.body, upload, partial(room.settle, 0))
            return Passing(prepared_scope(scope, prepared), receive, reply)
        if path == "/":
            return self._show_page(scope)
        if path == "/metrics":
            return await self._show_metrics(scope)
        return Passing(without_origin(scope), upload, send)

    async def _prepare(self, path: str, scope: Scope, upload: Upload, room: Room, inside: ExitStack) -> Prepared:
        with self._admission.reader():
            body = await read_body(upload, self._config.limits, room)
        self._metrics.body_bytes.add(amount=len(body))
        inside.enter_context(self._admission.request())
        work = prepare(
            path,
            value(scope, b"content-type").decode("latin-1"),
            body,
            config=self._config,
            decoder=partial(self._decode, room),
            engine=ClientsEngine(self._app, scope, self._length),
            threads=self._threads,
        )
        prepared = await unless_gone(work, upload)
        room.settle(len(prepared.body))
        if any(name == b"x-stepaudio-max-tokens" for name, _ in prepared.notices):
            self._metrics.lowered.add()
        return prepared

    async def _decode(self, room: Room, data: bytes, param: str, seconds_left: float) -> Sequence[Clip]:
        clips = await self._decoder(data, param, seconds_left)
        room.take(sum(len(clip.wav) for clip in clips) * 4 // 3)  # as base64
        self._metrics.clips.add(amount=len(clips))
        self._metrics.seconds.add(amount=sum(clip.seconds for clip in clips))
        return clips

    def _watch(self) -> None:
        watch, inside = self._metrics.watch, self._admission
        watch(
            "stepaudio_guard_requests_in_flight",
            "Requests that are read, prepared or answered.",
            lambda: inside.readers + inside.requests,
        )
        watch("stepaudio_guard_bytes_in_flight", "Bytes of bodies that are read or prepared.", lambda: inside.bytes)
        watch("stepaudio_guard_decodes_in_flight", "Audio parts in decoding or waiting.", lambda: self._decoder.waiting)

    def _show_page(self, scope: Scope) -> Sequence[Message]:
        if self._page is None:
            raise RefusedError(Refusal(404, "unknown_url", "This guard came without its page."))
        return self._page.answer(scope)

    async def _show_metrics(self, scope: Scope) -> Sequence[Message]:
        answer = await call(self._app, scope, "GET", "/metrics")
        if answer is not None and 300 <= answer.status < 400:  # where the engine mounts them: with a slash
            answer = await call(self._app, scope, "GET", "/metrics/")
        if answer is None:
            raise RefusedError(_NO_METRICS)
        body = joined(answer.body, self._metrics.exposition()) if answer.status == 200 else answer.body
        headers = without(answer.headers, {b"content-length", b"transfer-encoding"})
        headers.append((b"content-length", str(len(body)).encode()))
        return [
            {"type": "http.response.start", "status": answer.status, "headers": headers},
            {"type": "http.response.body", "body": body},
        ]

    def _outgoing(self, scope: Scope, send: Send) -> Send:
        """The server's `send`, with leave for the page that asked, where it has it; counts the answers."""
        origins = self._config.cors_origins
        origin = allowed_origin(scope, origins)
        granted: Headers = [] if origin is None else leave(origin, origins)

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests.add(self._label(scope), str(message["status"]))
                if granted:
                    message = {**message, "headers": [*message.get("headers", ()), *granted]}
            await send(message)

        return counted

    def _label(self, scope: Scope) -> str:
        path = route_path(scope)
        return path if path in self._routes else "other"


_EMPTY: Message = {"type": "http.response.body", "body": b""}
