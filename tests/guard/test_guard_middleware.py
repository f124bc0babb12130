from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stepaudio_serve import guard
from stepaudio_serve.guard import API_KEY_FILE, Guard

if TYPE_CHECKING:
    from stepaudio_serve.guard.asgi import Message, Receive, Scope, Send

CHUNKS = [b"data: one\n\n", b"data: two\n\n", b"data: [DONE]\n\n"]


class Engine:
    """An ASGI application that streams three chunks and remembers what reached it."""

    def __init__(self) -> None:
        self.seen: list[Scope] = []
        self.given: list[tuple[Receive, Send]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(scope)
        self.given.append((receive, send))
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for chunk in CHUNKS:
            await send({"type": "http.response.body", "body": chunk, "more_body": chunk != CHUNKS[-1]})


def call(app: Guard, scope: Scope) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup" if scope["type"] == "lifespan" else "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def http(method: str, path: str, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "root_path": "", "headers": list(headers)}


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "keys"
    file.write_text("secret\n")
    monkeypatch.setenv(API_KEY_FILE, str(file))
    return file


@pytest.fixture
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(API_KEY_FILE, raising=False)


@pytest.mark.usefixtures("no_key")
class TestPassing:
    def test_the_engine_gets_the_very_request_and_answers_for_itself(self, engine: Engine) -> None:
        request = http("POST", "/v1/chat/completions")
        sent = call(Guard(engine), request)
        assert engine.seen[0] is request
        assert [message["body"] for message in sent[1:]] == CHUNKS

    def test_nothing_stands_between_the_engine_and_the_stream(self, engine: Engine) -> None:
        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None: ...

        asyncio.run(Guard(engine)(http("POST", "/v1/chat/completions"), receive, send))
        assert engine.given == [(receive, send)]

    def test_start_up_is_the_engines(self, engine: Engine) -> None:
        assert call(Guard(engine), {"type": "lifespan"}) == [{"type": "lifespan.startup.complete"}]


class TestRefusing:
    def test_the_answer_has_openais_shape_and_the_engine_never_hears_of_it(self, engine: Engine, no_key: None) -> None:
        start, body = call(Guard(engine), http("POST", "/invocations"))
        assert engine.seen == []
        assert start["status"] == 404
        headers = dict(start["headers"])
        assert headers[b"content-type"] == b"application/json"
        assert int(headers[b"content-length"]) == len(body["body"])
        error = json.loads(body["body"])["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert (error["type"], error["code"]) == ("invalid_request_error", "unknown_url")

    def test_without_the_key_a_request_stops_here(self, engine: Engine, key_file: Path) -> None:
        start, _ = call(Guard(engine), http("GET", "/v1/models"))
        assert start["status"] == 401
        assert (b"www-authenticate", b"Bearer") in start["headers"]
        assert engine.seen == []

    def test_with_the_key_it_passes(self, engine: Engine, key_file: Path) -> None:
        start, *_ = call(Guard(engine), http("GET", "/v1/models", (b"authorization", b"Bearer secret")))
        assert start["status"] == 200

    @pytest.mark.parametrize("path", ["/v1/realtime", "/v1/chat/completions", "/health"])
    @pytest.mark.parametrize("setting", ["key_file", "no_key"])
    def test_no_websocket_is_let_in(
        self, engine: Engine, path: str, setting: str, request: pytest.FixtureRequest
    ) -> None:
        request.getfixturevalue(setting)
        socket = {"type": "websocket", "path": path, "headers": [(b"authorization", b"Bearer secret")]}
        assert call(Guard(engine), socket) == [{"type": "websocket.close", "code": 1008}]
        assert engine.seen == []

    def test_the_keys_are_those_of_the_start(self, engine: Engine, key_file: Path) -> None:
        app = Guard(engine)
        key_file.write_text("another\n")
        start, *_ = call(app, http("GET", "/v1/models", (b"authorization", b"Bearer another")))
        assert start["status"] == 401


class TestWrongConfiguration:
    @pytest.fixture(autouse=True)
    def absent_key_file(self, key_file: Path) -> None:
        key_file.unlink()

    def test_start_up_is_refused_with_the_reason(self, engine: Engine) -> None:
        (sent,) = call(Guard(engine), {"type": "lifespan"})
        assert sent["type"] == "lifespan.startup.failed"
        assert "cannot be read: No such file" in sent["message"]
        assert engine.seen == []

    @pytest.mark.parametrize("path", ["/health", "/v1/models", "/invocations"])
    def test_nothing_gets_in_even_where_the_server_goes_on(self, engine: Engine, path: str) -> None:
        start, body = call(Guard(engine), http("GET", path, (b"authorization", b"Bearer secret")))
        assert start["status"] == 503
        assert json.loads(body["body"])["error"]["type"] == "server_error"
        assert engine.seen == []

    def test_a_real_server_ends_with_the_reason_in_its_log(self, tmp_path: Path) -> None:
        pytest.importorskip("uvicorn")
        (tmp_path / "served.py").write_text(
            "from starlette.applications import Starlette\n"
            "from stepaudio_serve.guard import Guard\n"
            "app = Starlette()\n"
            "app.add_middleware(Guard)\n"
        )
        command = [sys.executable, "-m", "uvicorn", "--uds", str(tmp_path / "socket"), "served:app"]
        path = os.pathsep.join([str(tmp_path), str(Path(guard.__file__).parents[2])])
        ended = subprocess.run(
            command,
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode != 0
        assert "stepaudio guard: the API key file" in ended.stderr


def test_it_stands_alone_under_the_name_that_the_engine_imports(tmp_path: Path) -> None:
    (tmp_path / "stepaudio_guard").symlink_to(Path(guard.__file__).parent)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import stepaudio_guard; stepaudio_guard.Guard(None)\n"
        "print(sorted({n.partition('.')[0] for n in sys.modules} - sys.stdlib_module_names - {'__main__'}))"
    )
    bare = [sys.executable, "-I", "-S", "-c", program]
    environment = {name: value for name, value in os.environ.items() if name != API_KEY_FILE}
    loaded = subprocess.run(bare, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert loaded.stdout.strip() == "['stepaudio_guard']"
