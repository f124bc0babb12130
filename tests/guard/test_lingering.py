"""The guard in a real server, and clients that speak to it in bytes."""

from __future__ import annotations

import importlib.util
import json
import socket
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from stepaudio_serve.guard import GuardConfig, lingering
from stepaudio_serve.guard.config import Limits
from stepaudio_serve.guard.edge import Edge
from stepaudio_serve.guard.keys import parse_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepaudio_serve.guard.asgi import Receive, Scope, Send

uvicorn = pytest.importorskip("uvicorn")

LARGE = 1 << 20
PROTOCOLS = ["h11", *(["httptools"] if importlib.util.find_spec("httptools") else [])]
GET = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"


async def engine(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


class Connection:
    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._file = self._socket.makefile("rb")

    def post(
        self, body: bytes = b"", *, path: str = "/v1/chat/completions", more: str = "", length: int | None = None
    ) -> None:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{more}"
        if "chunked" not in more:
            head += f"content-length: {len(body) if length is None else length}\r\n"
        self.send(f"{head}\r\n".encode() + body)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        status = int(self._file.readline().split()[1])
        headers: dict[str, str] = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return status, headers, self._file.read(int(headers["content-length"]))

    @property
    def is_closed(self) -> bool:
        return self._file.read(1) == b""

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Server:
    def __init__(self, port: int) -> None:
        self._port = port

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        connection = Connection(self._port)
        try:
            yield connection
        finally:
            connection.close()


@pytest.fixture(scope="module", params=PROTOCOLS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    limits = replace(Limits(), request_bytes=LARGE, body_timeout=0.3)
    edge = Edge(engine, GuardConfig(keys=parse_keys(b"key"), limits=limits))
    config: Any = uvicorn.Config(edge, lifespan="off", http=request.param, log_level="critical")
    serving = uvicorn.Server(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]})
        thread.start()
        yield Server(listening.getsockname()[1])
        serving.should_exit = True
        thread.join()


KEY = "authorization: Bearer key\r\n"


def test_a_small_refused_request_leaves_the_connection_open(server: Server) -> None:
    with server.connection() as connection:
        connection.post(b"x" * 1000)
        status, headers, _ = connection.answer()
        assert (status, headers.get("connection")) == (401, None)
        connection.send(GET)
        assert connection.answer()[0] == 200


def test_so_does_one_whose_body_was_read(server: Server) -> None:
    with server.connection() as connection:
        connection.post(b'{"messages": 1}', more=KEY)
        assert connection.answer()[0] == 400
        connection.send(GET)
        assert connection.answer()[0] == 200


@pytest.mark.parametrize(("more", "status"), [(KEY, 413), ("", 401)])
def test_a_client_that_sends_a_large_body_to_its_end_reads_the_answer(server: Server, more: str, status: int) -> None:
    with server.connection() as connection:
        connection.post(b"x" * (8 * LARGE), more=more)
        answered, headers, body = connection.answer()
        assert (answered, headers["connection"]) == (status, "close")
        assert set(json.loads(body)) == {"error"}
        assert connection.is_closed


def test_one_that_never_stops_sending_is_cut_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "LINGER_BYTES", 4 * LARGE)
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with server.connection() as connection:
        connection.post(more=f"{KEY}transfer-encoding: chunked\r\n")
        with pytest.raises(OSError, match=r"[Rr]eset|[Pp]ipe"):
            connection.send(piece * 2000)


def test_one_that_is_too_slow_is_told_and_cut_off(server: Server) -> None:
    with server.connection() as connection:
        connection.post(b"{", more=KEY, length=10)
        status, headers, _ = connection.answer()
        assert (status, headers["connection"]) == (408, "close")
        assert connection.is_closed


def test_one_that_asks_first_whether_to_send_is_told_at_once(server: Server) -> None:
    with server.connection() as connection:
        connection.post(more=f"{KEY}expect: 100-continue\r\n", length=2 * LARGE)
        assert connection.answer()[0] == 413


def test_one_that_leaves_while_it_sends_takes_nobody_with_it(server: Server) -> None:
    for _ in range(10):
        with server.connection() as connection:
            connection.post(b"{", more=KEY, length=10)
    with server.connection() as connection:
        connection.send(GET)
        assert connection.answer()[0] == 200
