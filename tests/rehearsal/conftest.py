"""The real server as a subprocess, and real audio."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
import soundfile

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "Step-Audio-R1"
PATIENCE_SECONDS = 20


@dataclass
class Rehearsal:
    process: subprocess.Popen[bytes]
    url: str
    folder: Path

    def client(self, **more: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30, trust_env=False, **more)

    def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        with self.client() as client:
            return client.post(path, json=body, **more)

    def get(self, path: str, **more: Any) -> httpx.Response:
        with self.client() as client:
            return client.get(path, **more)

    def ask(self, *parts: Any, **fields: Any) -> httpx.Response:
        content = [*parts, {"type": "text", "text": "What do you hear?"}]
        body = {"model": MODEL, "messages": [{"role": "user", "content": content}], **fields}
        return self.post("/v1/chat/completions", body)

    def text(self, *parts: Any, **fields: Any) -> str:
        response = self.ask(*parts, **fields)
        assert response.status_code == 200, response.text
        return response.json()["choices"][0]["message"]["content"]

    def metric(self, name: str) -> float:
        lines = self.get("/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    def ended(self) -> int:
        return self.process.wait(timeout=30)

    @property
    def log(self) -> str:
        return (self.folder / "stdout").read_bytes().decode()

    @property
    def errors(self) -> str:
        return (self.folder / "stderr").read_bytes().decode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


Start = Callable[..., Rehearsal]


@pytest.fixture(scope="session")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    started: list[Rehearsal] = []

    def start(*flags: str, ready: bool = True, environment: dict[str, str] | None = None) -> Rehearsal:
        port = free_port()
        folder = tmp_path_factory.mktemp("rehearsal")
        command = [sys.executable, "-m", "stepaudio_serve.rehearsal", "serve", "/Step-Audio-R1"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", MODEL, *flags]
        timings = {"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "0", "STEPAUDIO_REHEARSAL_TOKEN_SECONDS": "0"}
        with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
            process = subprocess.Popen(
                command, stdout=out, stderr=err, env={**os.environ, **timings, **(environment or {})}
            )
        rehearsal = Rehearsal(process, f"http://127.0.0.1:{port}", folder)
        started.append(rehearsal)
        if ready:
            _until_listening(rehearsal, port)
        return rehearsal

    yield start
    for rehearsal in started:
        rehearsal.process.kill()
        rehearsal.process.wait()


def _until_listening(rehearsal: Rehearsal, port: int) -> None:
    def listens() -> bool:
        if rehearsal.process.poll() is not None:
            pytest.fail(f"ended with {rehearsal.process.returncode}:\n{rehearsal.log}{rehearsal.errors}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    _until(listens)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not so after {PATIENCE_SECONDS} s")
        time.sleep(0.02)


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], bool]], None]:
    """Waits until a condition holds; fails when it never does."""
    return _until


@pytest.fixture(scope="session")
def engine(launch: Start) -> Rehearsal:
    return launch("--max-model-len", "4096", "--enable-log-requests", "--enable-server-load-tracking")


@pytest.fixture(scope="session")
def sound() -> Callable[..., bytes]:
    """An audio file: a sine at `hertz` (0: silence, None: noise)."""

    def make(
        seconds: float = 2.0,
        hertz: float | None = 220.0,
        *,
        rate: int = 16000,
        channels: int = 1,
        container: str = "WAV",
        amplitude: float = 0.5,
    ) -> bytes:
        time_axis = np.arange(round(seconds * rate)) / rate
        if hertz is None:
            wave = np.random.default_rng(7).normal(0, amplitude / 3, len(time_axis))
        else:
            wave = amplitude * np.sin(2 * np.pi * hertz * time_axis)
        file = io.BytesIO()
        soundfile.write(file, np.tile(wave[:, None], channels), rate, format=container)
        return file.getvalue()

    return make


@pytest.fixture(scope="session")
def part(sound: Callable[..., bytes]) -> Callable[..., dict[str, Any]]:
    """A content part that holds such a sound, or the given bytes."""

    def make(*what: Any, data: bytes | None = None, **how: Any) -> dict[str, Any]:
        encoded = base64.b64encode(sound(*what, **how) if data is None else data).decode()
        return {"type": "input_audio", "input_audio": {"data": encoded, "format": "wav"}}

    return make


@pytest.fixture(scope="session")
def read_events() -> Callable[[httpx.Response], list[Any]]:
    """The events of a stream; the last one, `[DONE]`, stays a string."""

    def read(response: httpx.Response) -> list[Any]:
        lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]

    return read


@pytest.fixture(scope="session")
def terminate() -> Callable[[Rehearsal], None]:
    return lambda rehearsal: rehearsal.process.send_signal(signal.SIGTERM)
