from __future__ import annotations

import json
from typing import Any

import pytest

from stepaudio_serve.guard.prepared import Transcript
from stepaudio_serve.guard.refusal import Refusal
from stepaudio_serve.guard.reply.transcripts import transcript_of


def completion(finish: str = "stop", **message: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}


def transcript(wanted: Transcript, answer: dict[str, Any], mode: Any = "opened") -> tuple[bytes, bytes]:
    made = transcript_of(answer, wanted, mode)
    assert not isinstance(made, Refusal)
    return made


HEARD = completion(content="I listen.</think>\n\nGood “morning”, Zoë.\n")


def test_json_is_the_text_after_the_thinking() -> None:
    kind, body = transcript(Transcript("json", 2.5), HEARD)
    assert kind == b"application/json"
    assert json.loads(body) == {"text": "Good “morning”, Zoë."}


def test_text_is_plain() -> None:
    kind, body = transcript(Transcript("text", 2.5), HEARD)
    assert kind == b"text/plain; charset=utf-8"
    assert body.decode() == "Good “morning”, Zoë.\n"


@pytest.mark.parametrize("language", [None, "cs"])
def test_verbose_json_claims_nothing_that_was_not_measured_or_named(language: str | None) -> None:
    _, body = transcript(Transcript("verbose_json", 2.5, language), HEARD)
    assert json.loads(body) == {
        "task": "transcribe",
        "language": language,
        "duration": 2.5,
        "text": "Good “morning”, Zoë.",
    }


def test_an_engine_that_separates_is_believed() -> None:
    answer = completion(content="Good </think> morning.", reasoning="I listen.")
    assert json.loads(transcript(Transcript("json", 1), answer)[1]) == {"text": "Good </think> morning."}


def test_an_answer_without_thinking_is_the_transcript() -> None:
    assert json.loads(transcript(Transcript("json", 1), completion(content="Hello."))[1]) == {"text": "Hello."}


@pytest.mark.parametrize("message", [{"content": "I listen and"}, {"content": None, "reasoning": "I listen and"}])
def test_an_answer_that_never_came_to_the_transcript_is_an_error_and_not_an_empty_one(message: dict[str, Any]) -> None:
    refusal = transcript_of(completion("length", **message), Transcript("text", 1), "opened")
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code) == (422, "transcript_cut_off")
    assert "shorter" in refusal.message
