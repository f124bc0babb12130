"""The main job on a real vLLM: from a checkpoint folder to an endpoint that has heard a spoken question.

The checkpoint is tiny and was taught to name tones, noise and silence, and to repeat the canary's sentence.
"""

from __future__ import annotations

import io
import json
import math
import os
import random
import shutil
import struct
import subprocess
import wave
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.cli import Cli, isolated_environment

from stepaudio_serve.plan.chat_template import load_template, render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from docker import DockerClient

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]
NAME = "t-vllm-launch"
FAST = ("--", "--enforce-eager")


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    home = tmp_path_factory.mktemp("home")
    return Cli(tmp_path_factory.mktemp("here"), isolated_environment(home))


@pytest.fixture(scope="module")
def port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def up(cli: Cli, image: str, model: Path, port: int, *more: str, name: str = NAME) -> Any:
    engine = ("--engine-image", "upstream", "--image", image, "--gpus", "none")
    settings = ("--model", model, "--name", name, "--port", port)
    return cli("up", *engine, *map(str, settings), *more, "--json", *FAST, timeout=400)


@pytest.fixture(scope="module")
def launched(
    cli: Cli, vllm_image: str, checkpoints: Path, port: int, docker_engine: DockerClient
) -> Iterator[dict[str, Any]]:
    outcome = up(cli, vllm_image, checkpoints / "tiny-listener", port, "--canary", "strict")
    assert outcome.code == 0, outcome.stderr
    yield outcome.json
    assert cli("down", NAME).code == 0
    assert not docker_engine.containers.list(all=True, filters={"name": NAME})


def test_up_proves_that_the_engine_heard_what_was_said(launched: dict[str, Any]) -> None:
    assert launched["phase"] == "ready"
    assert launched["health"] == "healthy"
    assert launched["canary"]["heard"] is True
    assert "purple" in launched["canary"]["answer"]


def test_the_engine_itself_says_which_model_it_serves(launched: dict[str, Any]) -> None:
    models = httpx.get(launched["endpoint"] + "/v1/models").json()
    assert [model["id"] for model in models["data"]] == ["Step-Audio-R1"]


def test_up_has_seen_that_the_plugin_is_in_the_engine(launched: dict[str, Any], cli: Cli) -> None:
    assert launched["plugin"] == {"version": "0.1.0", "loaded": True, "listed": True}
    assert cli("status", NAME, "--json").json["deployments"][0]["plugin"]["loaded"] is True


def sine(hertz: float) -> Callable[[float], float]:
    return lambda t: 0.4 * math.sin(2 * math.pi * hertz * t)


SOUNDS = {
    "low tone": sine(250),
    "high tone": sine(2000),
    "noise": lambda _t: random.Random(_t).gauss(0, 0.2),
    "silence": lambda _t: 0.0,
}


def write_wav(path: Path, sound: Callable[[float], float], rate: int = 16000) -> Path:
    samples = [max(-1.0, min(1.0, sound(i / rate))) for i in range(2 * rate)]
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(struct.pack("<h", int(32767 * sample)) for sample in samples))
    path.write_bytes(buffer.getvalue())
    return path


@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize("rate", [16000, 48000])
def test_the_listener_names_the_sound_it_was_sent(
    launched: dict[str, Any], cli: Cli, tmp_path: Path, name: str, rate: int
) -> None:
    clip = write_wav(tmp_path / "ein Ton ä.wav", SOUNDS[name], rate)
    outcome = cli("ask", "--name", NAME, clip, "What do you hear?", "--temperature", "0", "--json")
    answer = outcome.json
    assert name in answer["text"]
    assert answer["thinking"]
    assert "</think>" not in answer["text"] + answer["thinking"]
    assert answer["finish_reason"] == "stop"


def test_text_alone_is_answered_too(launched: dict[str, Any]) -> None:
    assert "no audio" in chat(launched, [{"role": "user", "content": "Hello"}], temperature=0)


def test_an_answer_streams_in_many_pieces(launched: dict[str, Any]) -> None:
    body = {
        "model": "Step-Audio-R1",
        "stream": True,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    with httpx.stream("POST", launched["endpoint"] + "/v1/chat/completions", json=body, timeout=60) as response:
        pieces = [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: {")]
    assert len(pieces) > 5


def chat(launched: dict[str, Any], messages: list[dict[str, Any]], **more: Any) -> str:
    body = {"model": "Step-Audio-R1", "messages": messages, **more}
    answer = httpx.post(launched["endpoint"] + "/v1/chat/completions", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


CALL = {"id": "c1", "type": "function", "function": {"name": "clock", "arguments": '{"zone": "CET"}'}}
CONVERSATIONS: dict[str, list[dict[str, Any]]] = {
    "one question": [{"role": "user", "content": "Hello"}],
    "with a system turn": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
    "three turns": [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello to you."},
        {"role": "user", "content": "What now?"},
    ],
    "a tool's result": [
        {"role": "user", "content": "What time is it?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "clock", "arguments": '{"zone": "CET"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "12:00"},
    ],
}


TOKENISE = """
import json, sys
from tokenizers import Tokenizer
print(json.dumps(Tokenizer.from_file(sys.argv[1]).encode(sys.stdin.read(), add_special_tokens=False).ids))
"""


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_what_template_render_shows_is_what_the_engine_tokenises(
    launched: dict[str, Any], name: str, vllm_python: Path, checkpoints: Path
) -> None:
    messages = CONVERSATIONS[name]
    shown = render(load_template("step-audio-r1"), {"messages": messages}, content_format="openai")
    tokenizer = str(checkpoints / "tiny-listener/tokenizer.json")
    # by the tokenizer itself: the guard lets nobody send a prompt with control tokens in it
    ours = subprocess.run(
        [vllm_python, "-c", TOKENISE, tokenizer], input=shown, capture_output=True, text=True, check=True
    )
    theirs = httpx.post(launched["endpoint"] + "/tokenize", json={"model": "Step-Audio-R1", "messages": messages})
    assert theirs.json()["tokens"] == json.loads(ours.stdout)


def test_up_again_with_the_same_settings_says_that_it_runs(
    launched: dict[str, Any], cli: Cli, vllm_image: str, checkpoints: Path, port: int
) -> None:
    again = up(cli, vllm_image, checkpoints / "tiny-listener", port, "--canary", "strict")
    assert again.code == 0
    assert again.json["already_running"] is True
    assert again.json["container_id"] == launched["container_id"]


def without_end_token(source: Path, target: Path) -> Path:
    """The checkpoint as published ones are: nothing in it but the vocabulary says where an answer ends."""
    shutil.copytree(source, target)
    for name, change in (
        ("tokenizer_config.json", {"eos_token": "<|endoftext|>"}),
        ("generation_config.json", {"eos_token_id": None}),
    ):
        file = target / name
        file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    config = json.loads((target / "config.json").read_text())
    for part in (config, config.get("text_config", {})):
        part.pop("eos_token_id", None)
    (target / "config.json").write_text(json.dumps(config))
    return target


@pytest.fixture
def removed_after(cli: Cli) -> Iterator[str]:
    name = "t-vllm-other"
    yield name
    cli("down", name, "--stop-grace", "0")


def test_the_generation_config_alone_ends_an_answer(
    cli: Cli, vllm_image: str, checkpoints: Path, free_port: int, tmp_path: Path, removed_after: str
) -> None:
    model = without_end_token(checkpoints / "tiny-listener", tmp_path / "as published")
    started = up(cli, vllm_image, model, free_port, "--canary", "off", name=removed_after)
    assert started.code == 0, started.stderr
    body = {"model": "Step-Audio-R1", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 400}
    answer = httpx.post(started.json["endpoint"] + "/v1/chat/completions", json=body, timeout=60).json()
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["completion_tokens"] < 100


def test_a_model_that_talks_garbage_is_found_out(
    cli: Cli, vllm_image: str, checkpoints: Path, free_port: int, removed_after: str
) -> None:
    strict = up(cli, vllm_image, checkpoints / "tiny-audio", free_port, "--canary", "strict", name=removed_after)
    assert strict.code == 7
    assert "did not hear" in strict.json["error"]["what"]
    assert cli("status", removed_after, "--json").json["deployments"][0]["health"] == "healthy"


def test_truncated_weights_are_refused_before_the_start(
    cli: Cli, vllm_image: str, checkpoints: Path, free_port: int, tmp_path: Path, removed_after: str
) -> None:
    model = tmp_path / "cut short"
    shutil.copytree(checkpoints / "tiny-listener", model)
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    refused = up(cli, vllm_image, model, free_port, name=removed_after)
    assert refused.code == 3
    assert "model.safetensors" in refused.json["error"]["what"]
    assert cli("logs", removed_after).code == 6


def up_as_child(cli: Cli, programs: Path, model: Path, port: int, name: str) -> Any:
    """`up` with the `vllm` that lies in the folder `programs`."""
    engine = ("--runtime", "process", "--engine-image", "upstream", "--gpus", "none", "--model", model)
    place = ("--name", name, "--port", port, "--canary", "strict", "--json")
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1"}
    return cli("up", *map(str, (*engine, *place)), *FAST, env=environment, timeout=400)


def test_vllm_as_a_child_process(
    cli: Cli, vllm_python: Path, checkpoints: Path, free_port: int, removed_after: str
) -> None:
    started = up_as_child(cli, vllm_python.parent, checkpoints / "tiny-listener", free_port, removed_after)
    assert started.code == 0, started.stderr
    assert started.json["canary"]["heard"] is True
    assert httpx.post(started.json["endpoint"] + "/invocations", json={}).status_code == 404


PARSERS = ("--reasoning-parser", "step_audio", "--enable-auto-tool-choice", "--tool-call-parser", "step_audio_2")
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def test_the_plugins_parsers_work_in_the_engine_with_the_guard_before_it(
    cli: Cli, vllm_image: str, checkpoints: Path, free_port: int, removed_after: str
) -> None:
    place = ("--name", removed_after, "--port", str(free_port), "--canary", "off", "--json")
    engine = ("--engine-image", "upstream", "--image", vllm_image, "--gpus", "none")
    model = ("--model", str(checkpoints / "tiny-listener"))
    started = cli("up", *engine, *model, *place, *FAST, *PARSERS, timeout=400)
    assert started.code == 0, started.stderr
    url = started.json["endpoint"] + "/v1/chat/completions"
    question = {"model": "Step-Audio-R1", "messages": [{"role": "user", "content": "Hello"}], "temperature": 0}
    for more in ({}, {"tools": [TOOL]}):
        message = httpx.post(url, json={**question, **more}, timeout=60).json()["choices"][0]["message"]
        assert message["reasoning_content"].strip() == message["reasoning"].strip() == "No sound came with the message."
        assert message["content"].strip() == "There is no audio here."
        assert not message.get("tool_calls")
    with httpx.stream("POST", url, json={**question, "stream": True, "tools": [TOOL]}, timeout=60) as answer:
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: {")]
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas).strip() == "There is no audio here."
    thinking = "".join(delta.get("reasoning_content") or "" for delta in deltas)
    assert thinking.strip() == "No sound came with the message."


def test_an_engine_that_leaves_the_plugin_out_is_told_apart(
    cli: Cli, vllm_python: Path, checkpoints: Path, free_port: int, removed_after: str, tmp_path: Path
) -> None:
    program = tmp_path / "vllm"
    program.write_text(f'#!/bin/sh\nVLLM_PLUGINS=others exec "{vllm_python.with_name("vllm")}" "$@"\n')
    program.chmod(0o755)
    ended = up_as_child(cli, tmp_path, checkpoints / "tiny-listener", free_port, removed_after)
    assert ended.code == 4
    assert "without the Step-Audio plugin" in ended.json["error"]["why"]
    assert "VLLM_PLUGINS" in ended.json["error"]["fix"]
