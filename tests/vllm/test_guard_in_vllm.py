"""The guard inside the real engine, loaded as a deployment loads it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest
from support.engines import guard_package, plugin_package

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "a-key-of-the-test"
TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"
CHAT = {
    "model": "listener",
    "messages": [{"role": "user", "content": "What do you hear?"}],
    "max_tokens": 20,
    "temperature": 0,
    "ignore_eos": True,
}


class Engine(NamedTuple):
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def client(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=60)


class Parts(NamedTuple):
    python: Path
    checkpoints: Path


@pytest.fixture(scope="module")
def parts_of_vllm(vllm_python: Path, checkpoints: Path) -> Parts:
    return Parts(vllm_python, checkpoints)


@contextmanager
def vllm_with_guard(vllm: Parts, folder: Path, key_file: Path) -> Iterator[Engine]:
    guard_package(folder)
    plugin_package(folder)
    (folder / "template.jinja").write_text(TEMPLATE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = {
        "--served-model-name": "listener",
        "--host": "127.0.0.1",
        "--port": str(port),
        "--max-model-len": "1024",
        "--max-num-seqs": "4",
        "--chat-template": str(folder / "template.jinja"),
        "--middleware": "stepaudio_guard.Guard",
    }
    command = [str(vllm.python.parent / "vllm"), "serve", str(vllm.checkpoints / "tiny-listener"), "--enforce-eager"]
    command += [word for pair in arguments.items() for word in pair]
    environment = {
        "PYTHONPATH": str(folder),
        "STEPAUDIO_GUARD_API_KEY_FILE": str(key_file),
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    }
    log = folder / "vllm.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=os.environ | environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield Engine(process, port, log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def answers(engine: Engine) -> bool:
    try:
        return engine.client().get("/health").is_success
    except httpx.TransportError:
        return False


def wait_until_it_answers(engine: Engine) -> None:
    while not answers(engine):
        if engine.process.poll() is not None:
            pytest.fail(f"vLLM ended: {engine.log.read_text()[-3000:]}")
        time.sleep(0.2)


@pytest.fixture(scope="module")
def engine(parts_of_vllm: Parts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("guarded engine")
    key_file = folder / "keys"
    key_file.write_text(f"{KEY}\n")
    with vllm_with_guard(parts_of_vllm, folder, key_file) as started:
        wait_until_it_answers(started)
        yield started


@pytest.fixture
def stranger(engine: Engine) -> Iterator[httpx.Client]:
    with engine.client() as client:
        yield client


@pytest.fixture
def friend(engine: Engine) -> Iterator[httpx.Client]:
    with engine.client(Authorization=f"Bearer {KEY}") as client:
        yield client


def test_health_and_ping_are_open(stranger: httpx.Client) -> None:
    assert stranger.get("/health").status_code == 200
    assert stranger.get("/ping").status_code == 200


@pytest.mark.parametrize("path", ["/v1/models", "/version", "/metrics"])
def test_reading_needs_the_key(stranger: httpx.Client, friend: httpx.Client, path: str) -> None:
    assert stranger.get(path).status_code == 401
    assert stranger.get(path, headers={"Authorization": "Bearer guess"}).status_code == 401
    assert friend.get(path).status_code == 200


def test_asking_needs_the_key(stranger: httpx.Client, friend: httpx.Client) -> None:
    refused = stranger.post("/v1/chat/completions", json=CHAT)
    assert refused.status_code == 401
    assert "Authorization: Bearer KEY" in refused.json()["error"]["message"]
    assert friend.post("/v1/chat/completions", json=CHAT).status_code == 200
    completion = {"model": "listener", "prompt": "Hello", "max_tokens": 20}
    assert friend.post("/v1/completions", json=completion).status_code == 200
    assert friend.post("/tokenize", json={"model": "listener", "prompt": "Hello"}).json()["count"] > 0


def test_an_answer_streams_through(friend: httpx.Client) -> None:
    with friend.stream("POST", "/v1/chat/completions", json=CHAT | {"stream": True}) as answer:
        events = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert events[-1] == "[DONE]"
    deltas = [json.loads(event)["choices"][0]["delta"] for event in events[:-1]]
    assert len([delta for delta in deltas if delta.get("content") or delta.get("reasoning_content")]) > 1


@pytest.mark.parametrize(
    "path",
    [
        "/invocations",
        "/v1/chat/completions%0A",
        "/v1/chat/completions/",
        "//v1/chat/completions",
        "/detokenize",
    ],
)
def test_the_engines_side_doors_are_shut(stranger: httpx.Client, friend: httpx.Client, path: str) -> None:
    assert stranger.post(path, json=CHAT).status_code == 404
    assert friend.post(path, json=CHAT).status_code == 404


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/load", "/metrics/", "/metricsx"])
def test_so_are_its_pages(friend: httpx.Client, path: str) -> None:
    assert friend.get(path).status_code == 404


@pytest.mark.parametrize("host", ["x/health?", "127.0.0.1/health#", "health", ""])
def test_no_host_header_stands_in_for_the_key(stranger: httpx.Client, host: str) -> None:
    assert stranger.get("/v1/models", headers={"Host": host}).status_code == 401
    assert stranger.post("/invocations", json=CHAT, headers={"Host": host}).status_code == 404


def test_a_page_of_another_origin_gets_no_leave(stranger: httpx.Client) -> None:
    preflight = {"Origin": "https://other.example", "Access-Control-Request-Method": "POST"}
    answer = stranger.options("/v1/chat/completions", headers=preflight)
    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers


def test_an_engine_without_its_key_file_ends_and_says_why(parts_of_vllm: Parts, tmp_path: Path) -> None:
    with vllm_with_guard(parts_of_vllm, tmp_path, tmp_path / "absent") as engine:
        engine.process.wait(200)
        assert "stepaudio guard: the API key file" in engine.log.read_text()
