from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stepaudio_serve import guard
from stepaudio_serve.guard import API_KEY_FILE, Guard

if TYPE_CHECKING:
    from stepaudio_serve.guard.asgi import Message, Receive, Scope, Send


class Engine:
    """An ASGI application that remembers what reached it."""

    def __init__(self) -> None:
        self.seen: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(scope)
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"engine"})


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


class TestEnvironment:
    @pytest.mark.usefixtures("no_key")
    def test_start_up_is_the_engines(self, engine: Engine) -> None:
        assert call(Guard(engine), {"type": "lifespan"}) == [{"type": "lifespan.startup.complete"}]

    def test_without_the_key_a_request_stops_here(self, engine: Engine, key_file: Path) -> None:
        start, _ = call(Guard(engine), http("GET", "/v1/models"))
        assert start["status"] == 401
        assert engine.seen == []

    def test_with_the_key_it_passes(self, engine: Engine, key_file: Path) -> None:
        start, *_ = call(Guard(engine), http("GET", "/v1/models", (b"authorization", b"Bearer secret")))
        assert start["status"] == 200

    def test_the_keys_are_those_of_the_start(self, engine: Engine, key_file: Path) -> None:
        app = Guard(engine)
        key_file.write_text("another\n")
        start, *_ = call(app, http("GET", "/v1/models", (b"authorization", b"Bearer another")))
        assert start["status"] == 401

    @pytest.mark.parametrize("path", ["/v1/realtime", "/v1/chat/completions", "/health"])
    @pytest.mark.parametrize("setting", ["key_file", "no_key"])
    def test_no_websocket_is_let_in(
        self, engine: Engine, path: str, setting: str, request: pytest.FixtureRequest
    ) -> None:
        request.getfixturevalue(setting)
        socket = {"type": "websocket", "path": path, "headers": [(b"authorization", b"Bearer secret")]}
        assert call(Guard(engine), socket) == [{"type": "websocket.close", "code": 1008}]
        assert engine.seen == []


class TestWrongConfiguration:
    @pytest.fixture(autouse=True)
    def absent_key_file(self, key_file: Path) -> None:
        key_file.unlink()

    def test_start_up_is_refused_with_the_reason(self, engine: Engine) -> None:
        (sent,) = call(Guard(engine), {"type": "lifespan"})
        assert sent["type"] == "lifespan.startup.failed"
        assert "cannot be read: No such file" in sent["message"]
        assert engine.seen == []

    @pytest.mark.parametrize("path", ["/", "/health", "/v1/models", "/invocations"])
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


class TestMissingDecoder:
    def test_start_up_is_refused_and_says_what_to_install(self) -> None:
        program = (
            "import asyncio, sys; sys.modules['soundfile'] = None\n"
            "from stepaudio_serve.guard import Guard\n"
            "async def receive(): return {'type': 'lifespan.startup'}\n"
            "async def send(message): print(message['type'], message['message'])\n"
            "asyncio.run(Guard(None)({'type': 'lifespan'}, receive, send))"
        )
        environment = {name: value for name, value in os.environ.items() if name != API_KEY_FILE}
        command = [sys.executable, "-c", program]
        said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout
        assert said.startswith("lifespan.startup.failed stepaudio guard: ")
        assert "soundfile" in said
        assert "pip install 'vllm[audio]'" in said


async def status_of(app: Guard, body: bytes) -> int:
    """The status that a chat request with `body` is answered with."""
    statuses: list[int] = []
    pieces = [body]

    async def receive() -> Message:
        if not pieces:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": pieces.pop()}

    async def send(message: Message) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    length = (b"content-length", str(len(body)).encode())
    await app(http("POST", "/v1/chat/completions", (b"content-type", b"application/json"), length), receive, send)
    return statuses[0]


@pytest.mark.usefixtures("no_key")
def test_its_threads_end_with_the_server_and_not_before() -> None:
    large = b'{"messages": 1, "x": "' + b"y" * (3 << 20) + b'"}'
    before = set(threading.enumerate())

    async def stopping(scope: Scope, receive: Receive, send: Send) -> None:
        for word in ("startup", "shutdown"):
            await send({"type": f"lifespan.{word}.complete"})

    async def live() -> list[int]:
        guard = Guard(stopping)
        statuses: list[int] = []

        async def receive() -> Message:
            return {"type": "lifespan"}

        async def send(_: Message) -> None:
            statuses.append(await status_of(guard, large))

        await guard({"type": "lifespan"}, receive, send)
        while any(thread.name.startswith("stepaudio-") for thread in set(threading.enumerate()) - before):
            await asyncio.sleep(0.01)
        return statuses

    assert asyncio.run(asyncio.wait_for(live(), 30)) == [400, 500]


def test_it_stands_alone_under_the_name_that_the_engine_imports(tmp_path: Path) -> None:
    here = Path(guard.__file__).parent
    package = tmp_path / "stepaudio_guard"
    package.mkdir()
    (package / "__init__.py").write_text("from .guard import Guard as Guard\n")
    (package / "guard").symlink_to(here)
    (package / "audio").symlink_to(here.with_name("audio"))
    program = (
        "import sys, numpy, soundfile\n"
        "def names(): return {name.partition('.')[0] for name in sys.modules}\n"
        f"there = names(); sys.path.insert(0, {str(tmp_path)!r})\n"
        "import stepaudio_guard; stepaudio_guard.Guard(None)\n"
        "print(sorted(names() - there - sys.stdlib_module_names))"
    )
    environment = {name: value for name, value in os.environ.items() if name != API_KEY_FILE}
    command = [sys.executable, "-I", "-c", program]
    loaded = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert loaded.stdout.strip() == "['stepaudio_guard']"


def test_a_command_that_only_asks_for_its_names_does_not_wait_for_numpy() -> None:
    program = "import sys, stepaudio_serve.guard; print('numpy' in sys.modules, 'asyncio' in sys.modules)"
    asked = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert asked.stdout.split() == ["False", "False"]
