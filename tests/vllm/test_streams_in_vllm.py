"""64 clients that stream at once from a real vLLM behind the guard: none lost, none with another's answer.

STEPAUDIO_TEST_SECONDS sets how long they go on (default: 10).
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

import pytest
from support import sounds
from support.attacks.attack import Target, input_audio, text
from support.streams import Question, stream

if TYPE_CHECKING:
    from conftest import Guarded

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]
SECONDS = float(os.environ.get("STEPAUDIO_TEST_SECONDS", "10"))
CLIENTS = 64
ANSWERS: dict[sounds.Kind, str] = {
    "low tone": "I hear a low tone.",
    "high tone": "I hear a high tone.",
    "noise": "I hear noise.",
    "silence": "I hear silence.",
}


def question(target: Target, number: int) -> Question:
    """Its sound is one of four, its length is no other's; the model has a token for every 80 ms."""
    kind = list(ANSWERS)[number % len(ANSWERS)]
    clip = sounds.encode(sounds.sound(kind, 1.0 + 0.08 * number))
    body = target.question([input_audio(clip), text("What do you hear?")], max_tokens=60)
    alone = json.loads(target.post("/v1/chat/completions", body).text)
    assert ANSWERS[kind] in alone["choices"][0]["message"]["content"]
    streamed = {**body, "stream": True, "stream_options": {"include_usage": True}}
    return Question(streamed, ANSWERS[kind], alone["usage"]["prompt_tokens"])


def test_none_is_lost_and_none_gets_anothers_answer(guarded: Guarded) -> None:
    questions = [question(guarded.target, number) for number in range(CLIENTS)]
    assert len({one.prompt_tokens for one in questions}) == CLIENTS
    tally = asyncio.run(stream(guarded.target, questions, SECONDS))
    assert tally.lost == []
    assert tally.wrong == []
    assert tally.answered >= CLIENTS
    print(f"{tally.answered} answers in {SECONDS:g} s")
