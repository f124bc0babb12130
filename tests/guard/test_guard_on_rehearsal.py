"""The guard where it lives: in the server process of an engine, behind a real socket."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support import engines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUESTION = {"model": "Step-Audio-R1", "messages": [{"role": "user", "content": "What do you hear?"}]}
LONG = {"STEPAUDIO_REHEARSAL_THINKING_WORDS": "3000", "STEPAUDIO_REHEARSAL_TOKEN_SECONDS": "0.05"}
PATIENCE_SECONDS = 20


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with engines.rehearsal(tmp_path_factory.mktemp("guarded")) as running:
        running.wait_until_ready()
        with httpx.Client(base_url=running.url, timeout=30, trust_env=False) as client:
            yield client


@pytest.fixture(scope="module")
def slow_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with engines.rehearsal(tmp_path_factory.mktemp("slow"), environment=LONG) as running:
        running.wait_until_ready()
        with httpx.Client(base_url=running.url, timeout=30, trust_env=False) as client:
            yield client


def deltas(response: httpx.Response) -> Iterator[dict[str, Any]]:
    lines = (line.removeprefix("data: ") for line in response.iter_lines() if line)
    for line in lines:
        if line != "[DONE]":
            yield from json.loads(line)["choices"]


def metric(client: httpx.Client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def test_a_stream_says_what_the_whole_answer_says(endpoint: httpx.Client) -> None:
    whole = endpoint.post("/v1/chat/completions", json=QUESTION).json()["choices"][0]["message"]
    said = {0: {"reasoning": "", "reasoning_content": "", "content": ""}}
    said[1] = dict(said[0])
    with endpoint.stream("POST", "/v1/chat/completions", json={**QUESTION, "stream": True, "n": 2}) as response:
        for choice in deltas(response):
            for name, words in said[choice["index"]].items():
                said[choice["index"]][name] = words + (choice["delta"].get(name) or "")
    assert said[0] == said[1] == {name: whole[name] for name in said[0]}
    assert whole["content"].startswith("I am a rehearsal")
    assert "This is a rehearsal" in whole["reasoning"]


def test_a_client_that_wants_the_raw_text_has_it(endpoint: httpx.Client) -> None:
    answer = endpoint.post("/v1/chat/completions", json={**QUESTION, "separate_reasoning": False}).json()
    assert "</think>" in answer["choices"][0]["message"]["content"]


def test_an_answer_that_nobody_waits_for_is_not_finished(slow_endpoint: httpx.Client) -> None:
    with slow_endpoint.stream("POST", "/v1/chat/completions", json={**QUESTION, "stream": True}) as response:
        lines = response.iter_lines()
        next(lines)
        assert metric(slow_endpoint, "vllm:num_requests_running") == 1
        assert metric(slow_endpoint, "stepaudio_guard_requests_in_flight") == 1
    began = time.monotonic()
    while metric(slow_endpoint, "vllm:num_requests_running"):
        assert time.monotonic() - began < PATIENCE_SECONDS, "the engine goes on for a client that left"
        time.sleep(0.02)
    assert metric(slow_endpoint, "stepaudio_guard_requests_in_flight") == 0


def test_the_page_is_there_without_a_key_and_nothing_of_the_engines_is_shown(endpoint: httpx.Client) -> None:
    page = endpoint.get("/")
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert endpoint.get("/", headers={"if-none-match": page.headers["etag"]}).status_code == 304


def test_a_page_elsewhere_cannot_call_although_the_engine_would_let_it(endpoint: httpx.Client) -> None:
    page = {"origin": "https://page.example", "sec-fetch-site": "cross-site"}
    asked = endpoint.post("/v1/chat/completions", json=QUESTION, headers=page)
    assert asked.status_code == 403
    preflight = {**page, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    answered = endpoint.options("/v1/chat/completions", headers=preflight)
    assert answered.status_code == 405
    assert "access-control-allow-origin" not in answered.headers


def test_metrics_are_the_engines_and_the_guards(endpoint: httpx.Client) -> None:
    endpoint.post("/v1/chat/completions", json={"messages": 1})
    assert metric(endpoint, "vllm:prompt_tokens_total") >= 0
    assert metric(endpoint, "stepaudio_guard_refusals_total") >= 1
    answer = endpoint.get("/metrics", headers={"accept-encoding": "gzip", "accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("text/plain")
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_behind_a_proxy_that_takes_a_prefix_away_everything_is_where_it_was(tmp_path: Path) -> None:
    with engines.rehearsal(tmp_path, flags=("--root-path", "/audio")) as running:
        running.wait_until_ready()
        body = {**QUESTION, "max_tokens": 32000}
        answer = httpx.post(f"{running.url}/v1/chat/completions", json=body, trust_env=False)
        assert answer.status_code == 200
        assert "16384" in answer.headers["x-stepaudio-notice"]
        assert httpx.get(running.url, trust_env=False).status_code == 200
