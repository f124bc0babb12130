"""What a registry tells of an image before it is pulled, asked over real HTTP."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from stepaudio_serve.errors import RefusedError
from stepaudio_serve.pull.image import cannot_have, look_at_source

if TYPE_CHECKING:
    from collections.abc import Iterator

INDEX = {
    "manifests": [
        {"digest": "sha256:a", "platform": {"os": "linux", "architecture": "amd64"}},
        {"digest": "sha256:x", "platform": {"os": "unknown", "architecture": "unknown"}},
    ]
}
DOCUMENTS: dict[str, Any] = {
    "/v2/some/image/manifests/1": INDEX,
    "/v2/some/image/manifests/sha256:a": {"layers": [{"digest": "l1", "size": 300}, {"digest": "l2", "size": 45}]},
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        port = self.server.server_address[1]
        if self.path.startswith("/token?"):
            self._answer(200, {"token": "anonymous"})
        elif self.headers.get("Authorization") != "Bearer anonymous":
            challenge = f'Bearer realm="http://127.0.0.1:{port}/token",service="s",scope="repository:some/image:pull"'
            self._answer(401, {}, {"WWW-Authenticate": challenge})
        else:
            found = DOCUMENTS.get(self.path)
            self._answer(200 if found else 404, found or {})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
        """Say nothing."""

    def _answer(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_its_size_for_this_processor(host: str) -> None:
    assert look_at_source(f"{host}/some/image:1", "amd64").size == 345


def test_another_processor_is_refused_before_any_layer(host: str) -> None:
    with pytest.raises(RefusedError, match="does not exist for linux/arm64") as caught:
        look_at_source(f"{host}/some/image:1", "arm64")
    assert "linux/amd64;" in caught.value.why


def test_a_registry_that_does_not_tell_is_said(host: str) -> None:
    source = look_at_source(f"{host}/some/image:unknown", "amd64")
    assert source.size is None
    assert "does not tell us its size" in source.in_words()


def test_a_registry_that_cannot_be_reached_is_said(free_port: int) -> None:
    source = look_at_source(f"127.0.0.1:{free_port}/some/image:1", "amd64")
    assert source.size is None
    assert "cannot be reached: the connection was refused" in source.in_words()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("dial tcp: lookup r.example on 10.0.0.2:53: no such host", "no network, or no DNS"),
        ("dial tcp 10.0.0.9:443: i/o timeout", "did not answer in time"),
        ("proxyconnect tcp: dial tcp 127.0.0.1:3128: connect: connection refused", "proxy"),
    ],
)
def test_an_engine_that_does_not_reach_the_registry(said: str, why: str) -> None:
    refused = cannot_have("r.example/some/image:1", f'Get "https://r.example/v2/": {said}')
    assert why in refused.why
    assert "dial tcp" not in refused.why
    assert refused.fix.startswith("stepaudio-serve pull --image r.example/some/image:1 ")
