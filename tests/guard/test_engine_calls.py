from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from stepaudio_serve.guard import engine
from stepaudio_serve.guard.engine import ClientsEngine, ContextLength, call

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from stepaudio_serve.guard.asgi import Receive, Scope, Send

KEY = (b"authorization", b"Bearer key")
MODELS = json.dumps({"data": [{"id": "m", "max_model_len": 4096}]}).encode()


class App:
    """Answers each call with `body` and `status`, and remembers what it was asked."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        self.body = body
        self.status = status
        self.asked: list[Scope] = []
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(scope)
        self.bodies.append((await receive())["body"])
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        for byte in self.body:
            await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
        await send({"type": "http.response.body"})


def scope(root_path: str = "") -> dict[str, Any]:
    path = f"{root_path}/v1/chat/completions"
    headers = [KEY, (b"host", b"h"), (b"content-length", b"900"), (b"accept-encoding", b"gzip")]
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": root_path,
        "query_string": b"a=b",
        "headers": headers,
        "state": {"kept": True},
    }


def run(work: Awaitable[int | None]) -> int | None:
    async def waiting() -> int | None:
        return await work

    return asyncio.run(waiting())


class TestContext:
    def test_it_is_what_the_engine_says_of_its_model(self) -> None:
        assert run(ClientsEngine(App(MODELS), scope(), ContextLength()).max_model_len()) == 4096

    def test_it_is_asked_for_once(self) -> None:
        app, length = App(MODELS), ContextLength()
        assert [run(ClientsEngine(app, scope(), length).max_model_len()) for _ in range(3)] == [4096] * 3
        assert len(app.asked) == 1

    @pytest.mark.parametrize(
        "body",
        [b"", b"no JSON", b"[]", b'{"data": []}', b'{"data": [{"max_model_len": null}]}', b'{"data": [{"id": "m"}]}'],
    )
    def test_where_it_is_not_said_it_is_unknown_and_asked_for_again(self, body: bytes) -> None:
        app, length = App(body), ContextLength()
        assert run(ClientsEngine(app, scope(), length).max_model_len()) is None
        app.body = MODELS
        assert run(ClientsEngine(app, scope(), length).max_model_len()) == 4096


class TestCount:
    def test_it_is_the_engines(self) -> None:
        app = App(b'{"count": 17, "tokens": [1]}')
        request = {"messages": [{"role": "user", "content": "né"}]}
        assert run(ClientsEngine(app, scope(), ContextLength()).count_tokens(request)) == 17
        assert json.loads(app.bodies[0]) == request

    @pytest.mark.parametrize("body", [b"{}", b'{"count": "17"}', b'{"count": true}', b'{"count": -1}'])
    def test_what_is_no_count_is_none(self, body: bytes) -> None:
        assert run(ClientsEngine(App(body), scope(), ContextLength()).count_tokens({})) is None

    @pytest.mark.parametrize("status", [400, 401, 404, 500])
    def test_an_engine_that_refuses_has_not_counted(self, status: int) -> None:
        assert run(ClientsEngine(App(b'{"count": 17}', status), scope(), ContextLength()).count_tokens({})) is None


class TestCall:
    def test_it_is_made_in_the_clients_name_and_below_the_same_root(self) -> None:
        app = App(MODELS)
        asyncio.run(call(app, scope("/audio"), "GET", "/v1/models"))
        (asked,) = app.asked
        assert (asked["method"], asked["path"], asked["raw_path"]) == ("GET", "/audio/v1/models", b"/audio/v1/models")
        assert asked["headers"] == [KEY, (b"host", b"h")]
        assert asked["query_string"] == b""
        assert asked["state"] == {"kept": True}

    def test_the_clients_own_request_is_left_as_it_was(self) -> None:
        client = scope()
        asyncio.run(call(App(MODELS), client, "GET", "/v1/models"))
        assert client == scope()

    def test_an_engine_that_fails_has_not_answered_and_it_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        async def broken(scope: Scope, receive: Receive, send: Send) -> None:
            raise ZeroDivisionError

        async def silent(scope: Scope, receive: Receive, send: Send) -> None: ...

        assert asyncio.run(call(broken, scope(), "GET", "/v1/models")) is None
        assert "GET /v1/models, which the guard asked: ZeroDivisionError" in caplog.text
        assert asyncio.run(call(silent, scope(), "GET", "/v1/models")) is None

    def test_one_that_takes_too_long_is_not_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def asleep(scope: Scope, receive: Receive, send: Send) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(engine, "PATIENCE_SECONDS", 0.01)
        assert asyncio.run(call(asleep, scope(), "GET", "/v1/models")) is None

    def test_one_that_says_too_much_is_not_listened_to(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine, "LARGEST_ANSWER", len(MODELS) - 1)
        assert asyncio.run(call(App(MODELS), scope(), "GET", "/v1/models")) is None
