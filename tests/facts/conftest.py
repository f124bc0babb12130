"""A container engine of the test's own: answers over a socket, asked by the real SDK."""

from __future__ import annotations

import json
import socketserver
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

VERSION = {"Version": "28.3.0", "ApiVersion": "1.51", "MinAPIVersion": "1.24"}
INFO: Mapping[str, Any] = {
    "ServerVersion": "28.3.0",
    "Architecture": "x86_64",
    "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
    "Runtimes": {"runc": {}, "nvidia": {}},
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
    "MemTotal": 64 * 2**30,
    "CgroupVersion": "2",
    "DiscoveredDevices": [],
}


@dataclass
class EngineStandin:
    """`answers` maps the end of a path to the document (or text) to answer with; `hanging` makes every answer wait."""

    socket: Path
    answers: dict[str, Any] = field(default_factory=dict)
    hanging: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return f"unix://{self.socket}"

    def says(self, **info: Any) -> None:
        """Changes of what /info answers."""
        self.answers["/info"] = {**INFO, **info}

    @contextmanager
    def hangs(self) -> Iterator[None]:
        self.hanging.set()
        try:
            yield
        finally:
            self.hanging.clear()
            self.released.set()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    standin: EngineStandin


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        standin = self.server.standin
        if standin.hanging.is_set():
            standin.released.wait()
            return
        found = next((answer for end, answer in standin.answers.items() if self.path.endswith(end)), None)
        document = {"message": "no such image"} if found is None else found
        body = (document if isinstance(document, str) else json.dumps(document)).encode()
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def engine_standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineStandin]:
    standin = EngineStandin(tmp_path_factory.mktemp("engine") / "engine.sock")
    standin.answers |= {"/version": VERSION, "/_ping": "OK"}
    standin.says()
    with _Server(str(standin.socket), _Handler) as server:
        server.standin = standin
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield standin
        server.shutdown()


@pytest.fixture
def no_engine_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The docker command's folder, away from the user's: no DOCKER_HOST, no context."""
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path / "docker-config"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder
