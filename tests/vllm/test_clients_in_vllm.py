"""Clients as people have them, unmodified, against a real vLLM behind the guard."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
import openai
import pytest
import soundfile
from support import sounds
from support.attacks.attack import input_audio, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Guarded

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]


# ---- the model card's script

MODEL_CARD_SCRIPT = """\
import requests
import base64
with open("audio.wav", "rb") as f:
    audio_b64 = base64.b64encode(f.read()).decode()
payload = {
    "model": "Step-Audio-R1",
    "stream": True,
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "input_audio", "audio_data": audio_b64, "mime_type": "audio/wav"},
                {"type": "text", "text": "Transcribe this and describe the speaker."}
            ]
        }
    ]
}
with requests.post(
    "http://localhost:9999/v1/chat/completions",
    json=payload,
    stream=True,
) as r:
    for line in r.iter_lines():
        if line:
            print(line.decode())
"""
"""As published; its indentation, lost on the page, is restored."""


@pytest.mark.parametrize("kind", ["low tone", "high tone", "noise", "silence"])
def test_the_model_cards_script(guarded: Guarded, tmp_path: Path, kind: sounds.Kind) -> None:
    (tmp_path / "audio.wav").write_bytes(sounds.wav(kind))
    script = MODEL_CARD_SCRIPT.replace("localhost:9999", f"127.0.0.1:{guarded.target.port}")
    done = subprocess.run(
        [sys.executable, "-c", with_key(script, guarded)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "data: [DONE]"
    deltas = [choice["delta"] for line in lines[:-1] for choice in json.loads(line[6:])["choices"]]
    assert kind in "".join(delta.get("content") or "" for delta in deltas)
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas)


def with_key(script: str, guarded: Guarded) -> str:
    return script.replace("    stream=True,\n)", f"    stream=True, headers={guarded.target.headers!r},\n)")


# ---- the openai package


@pytest.fixture
def client(guarded: Guarded) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{guarded.target.url}/v1", api_key=guarded.target.key, max_retries=0) as made:
        yield made


def question(*parts: dict[str, Any]) -> list[Any]:
    return [{"role": "user", "content": [*parts, text("What do you hear?")]}]


def test_openai_lists_the_model(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["Step-Audio-R1"]


@pytest.mark.parametrize(
    ("kind", "name"), [("wav", "24-bit WAV"), ("mp3", "MP3"), ("flac", "FLAC"), ("wav", "OGG Opus")]
)
def test_openai_asks_about_a_clip(client: openai.OpenAI, kind: str, name: str) -> None:
    messages = question(input_audio(sounds.odd(name), kind))
    answer = client.chat.completions.create(model="Step-Audio-R1", messages=messages, temperature=0)
    message = answer.choices[0].message
    assert message.content is not None
    assert message.content.strip() == "I hear a low tone."
    assert message.reasoning_content.strip() == "The pitch is low and steady."  # type: ignore[attr-defined]
    assert message.reasoning == message.reasoning_content  # type: ignore[attr-defined]
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 5


def test_openai_streams_thinking_and_answer_apart(client: openai.OpenAI) -> None:
    messages = question(input_audio(sounds.wav("noise")))
    options = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(
            model="Step-Audio-R1",
            messages=messages,
            temperature=0,
            stream=True,
            stream_options=options,  # type: ignore[call-overload]
        )
    )
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    thinking = [delta.reasoning_content for delta in deltas if getattr(delta, "reasoning_content", None)]
    answer = [delta.content for delta in deltas if delta.content]
    assert "".join(thinking).strip() == "There is energy at every pitch."
    assert "".join(answer).strip() == "I hear noise."
    assert len(thinking) > 3
    assert len(answer) > 1
    assert "</think>" not in "".join([*thinking, *answer])
    assert chunks[-1].usage.completion_tokens > 5
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


@pytest.mark.parametrize("form", ["json", "text", "verbose_json"])
def test_openai_transcribes(client: openai.OpenAI, form: Any) -> None:
    spoken = ("speech.mp3", sounds.odd("MP3"))
    got = client.audio.transcriptions.create(model="Step-Audio-R1", file=spoken, response_format=form, temperature=0)
    words = got if isinstance(got, str) else got.text
    assert words.strip() == "I hear a low tone."
    if form == "verbose_json":
        assert got.duration == pytest.approx(2.0, abs=0.1)


def test_openai_raises_its_own_errors(client: openai.OpenAI, guarded: Guarded) -> None:
    with pytest.raises(openai.BadRequestError, match="ffmpeg") as refused:
        client.chat.completions.create(model="Step-Audio-R1", messages=question(input_audio(b"no sound")))
    assert refused.value.param is not None
    assert refused.value.param.startswith("messages[0].content[0]")
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="a-guess").models.list()
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="Step-Audio-R1", input="Hello")
    with pytest.raises(openai.BadRequestError, match="empty"):
        client.audio.transcriptions.create(model="Step-Audio-R1", file=("a.wav", b""))


# ---- a client written as the model's authors write theirs


def pieces_of(audio: bytes) -> list[bytes]:
    frames, rate = soundfile.read(io.BytesIO(audio), dtype="float32", always_2d=True)
    return [sounds.encode(frames[at : at + 25 * rate], rate=rate) for at in range(0, len(frames), 25 * rate)]


@pytest.fixture
def their_request(special: dict[str, int]) -> Callable[..., dict[str, Any]]:
    def request(audio: bytes, **more: Any) -> dict[str, Any]:
        return {**THEIRS, "messages": their_messages(audio), "stop_token_ids": [special["<|EOT|>"]], **more}

    return request


THEIRS = {
    "model": "Step-Audio-R1",
    "continue_final_message": True,
    "add_generation_prompt": False,
    "skip_special_tokens": False,
    "max_tokens": 32000,
    "temperature": 0,
}


def their_messages(audio: bytes) -> list[dict[str, Any]]:
    return [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "human", "content": [*map(input_audio, pieces_of(audio)), text("What do you hear?")]},
        {"role": "assistant", "content": "<think>\n"},
    ]


Request: TypeAlias = "Callable[..., dict[str, Any]]"


def test_the_authors_kind_of_client_reads_the_raw_text(guarded: Guarded, their_request: Request) -> None:
    body = their_request(sounds.wav("high tone"))
    answer = httpx.post(
        f"{guarded.target.url}/v1/chat/completions", json=body, headers=guarded.target.headers, timeout=60
    )
    assert answer.status_code == 200, answer.text
    thinking, _, words = answer.json()["choices"][0]["message"]["content"].partition("</think>")
    assert "high" in thinking
    assert "high tone" in words


def test_what_was_lowered_is_said(guarded: Guarded, their_request: Request) -> None:
    body = their_request(sounds.wav("high tone"))
    answer = httpx.post(
        f"{guarded.target.url}/v1/chat/completions", json=body, headers=guarded.target.headers, timeout=60
    )
    assert answer.status_code == 200, answer.text
    assert 15000 < int(answer.headers["x-stepaudio-max-tokens"]) < 16384
    assert "lowered from 32000" in answer.headers["x-stepaudio-notice"]


def test_the_authors_kind_of_client_streams(guarded: Guarded, their_request: Request) -> None:
    body = their_request(sounds.wav("silence"), stream=True)
    url = f"{guarded.target.url}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, headers=guarded.target.headers, timeout=60) as answer:
        events = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    pieces = [choice["delta"].get("content") or "" for event in events[:-1] for choice in json.loads(event)["choices"]]
    assert "silence" in "".join(pieces).partition("</think>")[2]


def test_a_minute_in_pieces_is_taken(guarded: Guarded, their_request: Request) -> None:
    body = their_request(sounds.encode(sounds.tone(sounds.LOW, 60)))
    reply = guarded.target.post("/v1/chat/completions", body)
    assert reply.status == 200, reply.text
    assert json.loads(reply.text)["usage"]["prompt_tokens"] > 60 * 12.5
