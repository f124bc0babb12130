"""The plugin in an unchanged image, mounted read-only, without the guard before it.

The checkpoint is the random one of the reference, in float32: what it answers was recorded.
"""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from support import sounds
from support.attacks.attack import input_audio, text
from support.cli import Cli, isolated_environment
from support.step_audio import recorded
from support.step_audio.prompt import MOST_SAMPLES, patch_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docker import DockerClient
    from docker.models.containers import Container
    from numpy.typing import NDArray

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]
MARKS = 2
"""Tokens around a clip's own."""


class Engine:
    """The running engine, and the container it is in."""

    def __init__(self, endpoint: str, container: Container, down: Callable[..., Any]) -> None:
        self.down = down
        self.url = f"{endpoint}/v1/chat/completions"
        self.endpoint = endpoint
        self.container = container

    def body(self, *content: dict[str, Any], **more: Any) -> dict[str, Any]:
        greedy = {"temperature": 0, "max_tokens": 8, "ignore_eos": True}
        return {"model": "Step-Audio-R1", "messages": [{"role": "user", "content": list(content)}], **greedy, **more}

    def ask(self, *content: dict[str, Any], **more: Any) -> httpx.Response:
        return httpx.post(self.url, json=self.body(*content, **more), timeout=240)

    def answers_still(self) -> bool:
        """Whether it runs and answers what was recorded: a 200 alone may hide what a request has left behind."""
        self.container.reload()
        return self.answers_as_recorded("tone") and self.container.attrs["RestartCount"] == 0

    def answers_as_recorded(self, name: str) -> bool:
        answer = httpx.post(self.url, json=recorded_question(self, name), timeout=60).json()
        return bool(answer["choices"][0]["token_ids"] == recorded.case(name).greedy)


@pytest.fixture(scope="module")
def engine(vllm_image: str, docker_engine: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    name = f"t-vllm-plugin-{uuid.uuid4().hex[:6]}"
    cli = Cli(tmp_path_factory.mktemp("here"), isolated_environment(tmp_path_factory.mktemp("home")))
    image = ("--engine-image", "upstream", "--image", vllm_image, "--gpus", "none")
    model = ("--model", recorded.CHECKPOINT, "--max-model-len", "8192", "--canary", "off", "--no-guard")
    place = ("--name", name, "--port", str(port), "--json")
    started = cli("up", *image, *model, *place, "--", "--enforce-eager", "--dtype", "float32", timeout=400)
    try:
        assert started.code == 0, started.stderr
        container = docker_engine.containers.get(started.json["container_id"])
        yield Engine(started.json["endpoint"], container, partial(cli, "down", name))
    finally:
        cli("down", name, "--stop-grace", "1")


def noise(samples: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def clip(samples: NDArray[np.float32], **kind: Any) -> dict[str, Any]:
    return input_audio(sounds.encode(samples, **kind))


# ---- the image


def test_the_image_is_as_it_was_and_nobody_in_the_container_can_change_the_plugin(engine: Engine) -> None:
    mounts = {mount["Destination"]: mount for mount in engine.container.attrs["Mounts"]}
    assert mounts["/opt/stepaudio"]["RW"] is False
    changed = {change["Path"] for change in engine.container.diff() or ()}
    assert not [path for path in changed if "site-packages" in path]
    wrote = engine.container.exec_run(["touch", "/opt/stepaudio/stepaudio_vllm/model.py"])
    assert wrote.exit_code != 0


def test_no_code_of_the_checkpoint_is_trusted(engine: Engine) -> None:
    config = json.loads((recorded.CHECKPOINT / "config.json").read_text())
    assert config["auto_map"]
    assert "--trust-remote-code" not in engine.container.attrs["Args"]


def test_the_engines_log_says_that_the_plugin_is_there(engine: Engine) -> None:
    log = engine.container.logs().decode()
    assert "Step-Audio plugin 0.1.0 for vLLM 0.32.0: StepAudio2ForCausalLM is registered" in log
    assert httpx.get(f"{engine.endpoint}/v1/models").json()["data"][0]["id"] == "Step-Audio-R1"


# ---- what it answers


def recorded_question(engine: Engine, name: str) -> dict[str, Any]:
    file = sounds.encode(recorded.pcm16(name).astype(np.float32)[:, None] / 32768)
    system = {"role": "system", "content": "You are a careful listener."}
    user = {"role": "user", "content": [input_audio(file), text("What do you hear?")]}
    return engine.body(messages=[system, user], logprobs=True, top_logprobs=10, return_token_ids=True)


@pytest.mark.parametrize("name", recorded.CLIPS)
def test_it_answers_over_http_what_was_recorded(engine: Engine, name: str) -> None:
    case = recorded.case(name)
    answer = httpx.post(engine.url, json=recorded_question(engine, name), timeout=60).json()
    assert answer["prompt_token_ids"] == case.steps["ids"].tolist()
    assert answer["choices"][0]["token_ids"] == case.greedy
    expected = case.steps["logits"].astype(np.float64)
    expected -= np.log(np.exp(expected - expected.max()).sum()) + expected.max()
    likeliest = sorted(expected, reverse=True)[:10]
    told = [token["logprob"] for token in answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]]
    assert np.abs(np.array(told) - likeliest).max() <= 1e-4


# ---- clips at the edge


def tokens(response: httpx.Response) -> int:
    assert response.status_code == 200, response.text
    return int(response.json()["usage"]["prompt_tokens"])


@pytest.mark.parametrize("samples", [1, 16_000, 400_000, MOST_SAMPLES])
def test_a_clip_takes_as_many_tokens_as_it_has_pieces_of_80_ms(engine: Engine, samples: int) -> None:
    without = tokens(engine.ask(text("What?")))
    assert tokens(engine.ask(clip(noise(samples)), text("What?"))) == without + MARKS + patch_count(samples)


def test_the_longest_clip_may_come_at_another_rate(engine: Engine) -> None:
    assert engine.ask(clip(noise(MOST_SAMPLES * 3), rate=48_000), text("What?")).status_code == 200
    refused = engine.ask(clip(noise(MOST_SAMPLES * 3 + 3), rate=48_000), text("What?"))
    assert refused.status_code == 400


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (lambda: sounds.encode(noise(MOST_SAMPLES + 1)), "longer than the 29.98 seconds"),
        (lambda: sounds.encode(noise(100 * 16_000)), "longer than the 29.98 seconds"),
        (lambda: sounds.encode(noise(0)), "the clip is empty"),
        (lambda: sounds.encode(noise(0), rate=44_100), "the clip is empty"),
        (lambda: sounds.float_wav(float("nan")), "not a number"),
        (lambda: sounds.float_wav(float("inf")), "not a number"),
        (lambda: sounds.float_wav(1e30), "beyond 32768"),
        (lambda: sounds.float_wav(-40_000.0), "beyond 32768"),
    ],
    ids=[
        "one sample too long",
        "far too long",
        "empty",
        "empty at another rate",
        "NaN",
        "infinite",
        "huge",
        "too loud",
    ],
)
def test_a_clip_that_cannot_be_heard_ends_its_request_and_nothing_else(engine: Engine, file: Any, words: str) -> None:
    refused = engine.ask(input_audio(file()), text("What?"))
    assert refused.status_code == 400
    assert words in refused.json()["error"]["message"]
    assert engine.answers_still()


def test_eight_of_the_longest_clips_fit_one_prompt(engine: Engine) -> None:
    clips = [clip(noise(MOST_SAMPLES, seed)) for seed in range(8)]
    assert tokens(engine.ask(*clips, text("What?"))) > 8 * 375


# ---- many at once


def mixed(number: int) -> list[dict[str, Any]]:
    """A clip of a length and a sound of its own, and every third time a second one after some words."""
    first = clip(noise(4_000 + 7_001 * number % MOST_SAMPLES, number))
    second = [text("And this?"), clip(noise(9_000 + 503 * number, number + 1000))] if number % 3 == 0 else []
    return [first, *second, text(f"What is number {number}?")]


def test_64_at_once_get_the_answers_that_they_get_one_at_a_time(engine: Engine) -> None:
    bodies = [engine.body(*mixed(number)) for number in range(64)]

    async def together() -> list[str]:
        async with httpx.AsyncClient(timeout=240) as client:
            answers = await asyncio.gather(*(client.post(engine.url, json=body) for body in bodies))
        return [answer.json()["choices"][0]["message"]["content"] for answer in answers]

    at_once = asyncio.run(together())
    alone = [
        httpx.post(engine.url, json=body, timeout=60).json()["choices"][0]["message"]["content"] for body in bodies
    ]
    assert at_once == alone
    assert len(set(alone)) > 32


# ---- the end of it


def test_an_answer_in_flight_is_finished_before_the_engine_ends(engine: Engine) -> None:
    long = engine.body(text("Hello"), max_tokens=1500, stream=True)
    with httpx.stream("POST", engine.url, json=long, timeout=120) as answer:
        events = (line.removeprefix("data: ") for line in answer.iter_lines() if line)
        next(events)
        with ThreadPoolExecutor() as threads:
            stopped = threads.submit(engine.down)
            rest = list(events)
            assert stopped.result(timeout=120).code == 0
    assert rest[-1] == "[DONE]"
    assert len(rest) > 1000
    assert json.loads(rest[-2])["choices"][0]["finish_reason"] == "length"
