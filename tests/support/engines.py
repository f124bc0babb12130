"""Engines as child processes, with the guard in front of them or without: vLLM on a CPU, and the rehearsal."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from stepaudio_serve import audio, guard
from stepaudio_serve.facts.plugin import plugin_sources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TEMPLATE = Path(__file__).parents[2] / "templates" / "step-audio-r1.jinja"
QUIET = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
START_SECONDS = 240


@dataclass(frozen=True, slots=True)
class Running:
    """An engine that was started; it answers once `wait_until_ready` returned."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=10).is_success
        except httpx.TransportError:
            return False

    def wait_until_ready(self) -> Running:
        began = time.monotonic()
        while not self.is_healthy():
            if not self.is_alive or time.monotonic() - began > START_SECONDS:
                raise RuntimeError(f"the engine does not answer:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.1)
        return self


def guard_package(folder: Path) -> Path:
    """`folder`, to be put on PYTHONPATH: the guard and what it uses as one package, as deployments mount it."""
    package = folder / "stepaudio_guard"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").write_text("from .guard import Guard as Guard\n")
    for name, part in (("guard", guard), ("audio", audio)):
        (package / name).symlink_to(Path(part.__file__ or "").parent)
    return folder


def plugin_package(folder: Path) -> Path:
    """`folder`, to be put on PYTHONPATH: the Step-Audio plugin with its metadata, as deployments mount it."""
    for name, text in plugin_sources().items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


@contextmanager
def vllm(
    python: Path,
    checkpoint: Path,
    folder: Path,
    *,
    guarded: bool = True,
    environment: Mapping[str, str] | None = None,
    flags: Sequence[str] = (),
) -> Iterator[Running]:
    """vLLM from a virtual environment, with the plugin, served as Step-Audio-R1, in one process."""
    plugin_package(folder)
    command = [str(python.parent / "vllm"), "serve", str(checkpoint), "--enforce-eager", "--interleave-mm-strings"]
    usual = {**QUIET, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    with _engine(command, {**usual, **(environment or {})}, folder, guarded, flags) as running:
        yield running


@contextmanager
def rehearsal(
    folder: Path, *, guarded: bool = True, environment: Mapping[str, str] | None = None, flags: Sequence[str] = ()
) -> Iterator[Running]:
    """The rehearsal engine, in a hurry."""
    command = [sys.executable, "-m", "stepaudio_serve.rehearsal", "serve", "Step-Audio-R1"]
    usual = {"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "0.1", "STEPAUDIO_REHEARSAL_TOKEN_SECONDS": "0"}
    with _engine(command, {**usual, **(environment or {})}, folder, guarded, flags) as running:
        yield running


@contextmanager
def _engine(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, guarded: bool, flags: Sequence[str]
) -> Iterator[Running]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["--served-model-name", "Step-Audio-R1", "--host", "127.0.0.1", "--port", str(port)]
    arguments += ["--max-model-len", "16384", "--max-num-seqs", "32", "--chat-template", str(TEMPLATE)]
    if guarded:
        guard_package(folder)
        arguments += ["--middleware", "stepaudio_guard.Guard"]
    log = folder / "engine.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *arguments, *flags],
            env={**os.environ, "PYTHONPATH": str(folder), **environment},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield Running(process, port, log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
