"""Servers that the page talks to: the rehearsal engine behind the guard, and one that plays a script."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx

from stepaudio_serve.guard.page import load_page

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator, Mapping

MODEL = "Step-Audio-R1"
INSECURE_HOST = "sound.test"
"""A name for this machine that a browser does not take for this machine."""


@dataclass
class Served:
    """The rehearsal engine behind the guard."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def running(self) -> int:
        """Requests that are being answered, by the engine's own count."""
        lines = httpx.get(f"{self.url}metrics", trust_env=False).text.splitlines()
        return int(sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("vllm:num_requests_running")))


@dataclass(frozen=True)
class Act:
    """One answer of a scripted server: sent chunk by chunk, as the network might cut it."""

    chunks: Iterable[bytes]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})


@dataclass
class Scripted:
    """A server that gives the page below a path prefix, plays `acts` in their order and keeps what it was asked.

    `left` counts the answers that the page would not have to their end.
    """

    port: int
    acts: list[Act] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    left: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/behind/a/proxy/"


@contextmanager
def playing() -> Iterator[Scripted]:
    """Such a server, until the end of the `with` block."""
    page = load_page()
    assert page is not None

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.path == "/behind/a/proxy/":
                self.reply(200, {"content-type": "text/html", "content-security-policy": page.policy.decode()})
                self.wfile.write(page.content)
            elif self.path == "/behind/a/proxy/v1/models":
                self.reply(200, {"content-type": "application/json"})
                self.wfile.write(json.dumps({"data": [{"id": MODEL}]}).encode())
            else:
                self.reply(404, {})

        def do_POST(self) -> None:
            server.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            act = server.acts.pop(0) if self.path == "/behind/a/proxy/v1/chat/completions" else Act([], 404)
            self.reply(act.status, act.headers)
            try:
                for chunk in act.chunks:
                    self.wfile.write(chunk)
                    self.wfile.flush()
            except OSError:
                server.left += 1

        def reply(self, status: int, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = Scripted(http.server_port)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield server
    http.shutdown()
    http.server_close()
