"""The page in a real Chromium, against the rehearsal engine behind the guard, and against servers that play a script.

No test may see a request to another place, a violation of the page's content security policy, or an error in the
browser's console: `visit` watches for all three.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hands import PATIENCE_SECONDS, until
from playwright.sync_api import expect, sync_playwright
from servers import INSECURE_HOST, MODEL, Scripted, Served, playing

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page
    from support.parts import Parts

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    f"--host-resolver-rules=MAP {INSECURE_HOST} 127.0.0.1",
)

expect.set_options(timeout=PATIENCE_SECONDS * 1000)


# ---- the browser


@pytest.fixture(scope="module")
def chromium(parts: Parts) -> Iterator[Browser]:
    """A real Chromium with a microphone that beeps.

    Of the module, not of the session: while Playwright's synchronous interface is open, no other test can run an
    event loop in this thread.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        parts.lack("chromium", "no chromium on PATH. On Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        parts.have("chromium", f"Chromium {browser.version}")
        yield browser
        browser.close()


@dataclass
class Watched:
    """What a browser's pages did that they must not do."""

    origin: str
    elsewhere: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def request(self, url: str) -> None:
        if not url.startswith((f"{self.origin}/", f"blob:{self.origin}/", "data:")):
            self.elsewhere.append(url)

    def console(self, message: ConsoleMessage) -> None:
        told_by_the_page = message.text.startswith("Failed to load resource")
        of_plain_http = message.text.startswith("The Cross-Origin-Opener-Policy header has been ignored")
        if message.type in {"error", "warning"} and not told_by_the_page and not of_plain_http:
            self.errors.append(message.text)


@pytest.fixture
def someone(chromium: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """`someone(url, **context)`: a browser of a person who was never here before."""
    watched: list[Watched] = []
    contexts: list[BrowserContext] = []

    def come(url: str, **more: Any) -> BrowserContext:
        watch = Watched("/".join(url.split("/")[:3]))
        context = chromium.new_context(**more)
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        context.on("request", lambda request: watch.request(request.url))
        context.on("console", watch.console)
        context.on("weberror", lambda error: watch.errors.append(str(error.error)))
        watched.append(watch)
        contexts.append(context)
        return context

    yield come
    for context in contexts:
        context.close()
    assert [watch.elsewhere for watch in watched if watch.elsewhere] == []
    assert [watch.errors for watch in watched if watch.errors] == []


@pytest.fixture
def visit(someone: Callable[..., BrowserContext]) -> Callable[..., Page]:
    """`visit(url, **context)`: the page at `url`, opened by somebody who was never here before."""

    def open_page(url: str, **more: Any) -> Page:
        page = someone(url, **more).new_page()
        page.goto(url)
        return page

    return open_page


# ---- servers


Serve = Callable[..., Served]


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """`serve(*flags, NAME=value...)` starts a rehearsal engine behind the guard."""
    started: list[Served] = []

    def start(*flags: str, **environment: str) -> Served:
        port = _free_port()
        log = tmp_path_factory.mktemp("served") / "log"
        command = [sys.executable, "-m", "stepaudio_serve.rehearsal", "serve", "/Step-Audio-R1"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", MODEL]
        command += ["--middleware", "stepaudio_serve.guard.Guard", *flags]
        pace = {"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "0", "STEPAUDIO_REHEARSAL_TOKEN_SECONDS": "0"}
        with log.open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **pace, **environment})
        served = Served(process, port)
        started.append(served)
        until(lambda: _listens(served, log))
        return served

    yield start
    for served in started:
        served.process.kill()
        served.process.wait()


@pytest.fixture(scope="session")
def engine(serve: Serve) -> Served:
    """An engine that answers at once."""
    return serve()


@pytest.fixture(scope="session")
def slow_engine(serve: Serve) -> Served:
    """An engine that thinks for a long while."""
    return serve(STEPAUDIO_REHEARSAL_TOKEN_SECONDS="0.03", STEPAUDIO_REHEARSAL_THINKING_WORDS="3000")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(served: Served, log: Path) -> bool:
    if served.process.poll() is not None:
        pytest.fail(f"ended with {served.process.returncode}:\n{log.read_text()}")
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", served.port)) == 0


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """A server that plays a script."""
    with playing() as server:
        yield server


# ---- sounds


@pytest.fixture(scope="session")
def sound() -> Callable[..., bytes]:
    """A file with a tone at 220 Hz."""

    def make(seconds: float = 2.4, *, rate: int = 16000, channels: int = 1, container: str = "WAV") -> bytes:
        import soundfile

        wave = 0.5 * np.sin(2 * np.pi * 220 * np.arange(round(seconds * rate)) / rate)
        file = io.BytesIO()
        soundfile.write(file, np.tile(wave[:, None], channels), rate, format=container)
        return file.getvalue()

    return make
