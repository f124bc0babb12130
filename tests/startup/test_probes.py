"""What one look at `/health` and at `/v1/models` says, against real sockets."""

from __future__ import annotations

import http.server
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from stepaudio_serve.startup.probes import health, served_models

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def connections(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """An endpoint that does this with the first connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                handle(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("status", "seen"), [(200, "healthy"), (503, "unhealthy"), (500, "unhealthy"), (404, "unhealthy")]
)
def test_only_200_is_healthy(status: int, seen: str) -> None:
    asked = []

    class Health(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert health(f"http://127.0.0.1:{server.server_port}") == seen
    assert asked == ["/health"]


def test_refused_is_unreachable(free_port: int) -> None:
    assert health(f"http://127.0.0.1:{free_port}") == "unreachable"


def test_closed_without_a_word_is_unreachable_as_behind_a_proxy_without_a_server() -> None:
    with connections(lambda connection: None) as endpoint:
        assert health(endpoint) == "unreachable"


def test_what_is_not_http_is_unreachable() -> None:
    with connections(lambda connection: connection.sendall(b"SSH-2.0-x\r\n")) as endpoint:
        assert health(endpoint) == "unreachable"


def test_silence_is_unhealthy() -> None:
    asked = threading.Event()

    def wait(_: socket.socket) -> None:
        asked.wait(20)

    with connections(wait) as endpoint:
        assert health(endpoint, timeout=0.1) == "unhealthy"
        asked.set()


# ---- which models


@contextmanager
def models(status: int, body: str) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """An endpoint that answers once so, and what it was asked: path and Authorization."""
    asked: list[tuple[str, str | None]] = []

    class Models(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Models) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked


LISTED = '{"object": "list", "data": [{"id": "Step-Audio-R1"}, {"id": "other"}]}'


@pytest.mark.parametrize(("key", "sent"), [(None, None), ("k-1", "Bearer k-1")])
def test_the_served_models_are_asked_for_with_the_key(key: str | None, sent: str | None) -> None:
    with models(200, LISTED) as (endpoint, asked):
        assert served_models(endpoint, api_key=key) == ("Step-Audio-R1", "other")
    assert asked == [("/v1/models", sent)]


@pytest.mark.parametrize(
    ("status", "body"), [(401, LISTED), (200, "<html>"), (200, "{}"), (200, '{"data": [1]}'), (200, "[]")]
)
def test_an_answer_that_lists_nothing_tells_nothing(status: int, body: str) -> None:
    with models(status, body) as (endpoint, _):
        assert served_models(endpoint) is None


def test_an_endpoint_that_is_not_there_lists_nothing(free_port: int) -> None:
    assert served_models(f"http://127.0.0.1:{free_port}") is None
