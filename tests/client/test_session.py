"""The conversation as a value: what is sent, what is counted, what is saved."""

from __future__ import annotations

import json

from stepaudio_serve.client.answer import Answer
from stepaudio_serve.client.recording import Clip, Recording
from stepaudio_serve.client.session import (
    STOPPED,
    Session,
    Turn,
    answered,
    as_markdown,
    asked,
    context_used,
    messages,
    seconds_of_audio,
    to_json,
    without_last,
)

SONG = Recording("song.mp3", (Clip(b"one", 25.0), Clip(b"two", 5.5)))


def answer(text: str = "A song.", thinking: str = "I hear.", **changes: object) -> Answer:
    usage = {"prompt_tokens": 100, "completion_tokens": 40, "total_tokens": 140}
    fields = {"finish_reason": "stop", "usage": usage, "seconds": 1.23456, **changes}
    return Answer(text=text, thinking=thinking, **fields)  # type: ignore[arg-type]


TALK = answered(asked(Session("Be brief."), Turn("What is it?", (SONG,))), answer())


# ---- what is sent


def test_a_request_carries_the_whole_conversation_without_the_thinking() -> None:
    sent = messages(asked(TALK, Turn("Who sings?")))
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
    assert (sent[0]["content"], sent[2]["content"]) == ("Be brief.", "A song.")
    assert "I hear." not in json.dumps(sent)


def test_the_sounds_of_every_turn_are_sent_again_before_its_words() -> None:
    kinds = [part["type"] for part in messages(TALK)[1]["content"]]  # type: ignore[attr-defined]
    assert kinds == ["input_audio", "input_audio", "text"]


def test_without_a_system_prompt_none_is_sent() -> None:
    assert [message["role"] for message in messages(asked(Session(), Turn("Hello")))] == ["user"]


# ---- what it is made of


def test_a_session_is_never_changed() -> None:
    before = Session()
    after = answered(asked(before, Turn("Hello")), answer())
    assert (before.turns, len(after.turns)) == ((), 1)
    assert without_last(after) == before


def test_the_sound_of_all_turns_counts() -> None:
    assert seconds_of_audio(asked(TALK, Turn("And this?", (SONG,)))) == 61.0


# ---- how much of the context is used


def test_of_an_answer_the_next_request_carries_the_texts_share_of_its_tokens() -> None:
    talk = answered(asked(Session(), Turn("Hello")), answer(text="12345", thinking="123456789012345"))
    assert context_used(talk) == 100 + 40 * 5 // 20


def test_what_the_engine_did_not_count_is_not_known() -> None:
    assert context_used(Session()) is None
    assert context_used(asked(Session(), Turn("Hello"))) is None
    assert context_used(answered(asked(Session(), Turn("Hello")), answer(usage=None))) is None


# ---- what is saved


def test_saved_for_programs_it_names_sounds_and_keeps_thinking() -> None:
    saved = to_json(TALK)
    assert saved["system"] == "Be brief."
    (turn,) = saved["turns"]
    assert turn["audio"] == [{"name": "song.mp3", "seconds": 30.5}]
    assert (turn["answer"]["text"], turn["answer"]["thinking"]) == ("A song.", "I hear.")
    assert turn["answer"]["seconds"] == 1.235
    assert json.dumps(saved)


def test_saved_for_people_the_thinking_is_folded_away() -> None:
    assert as_markdown(TALK) == (
        "**System:** Be brief.\n\n## Question\n\n*song.mp3, 30.5 s*\n\nWhat is it?\n\n## Answer\n\n"
        "<details><summary>Thinking</summary>\n\nI hear.\n\n</details>\n\nA song.\n"
    )


def test_an_answer_that_was_stopped_says_so() -> None:
    talk = answered(asked(Session(), Turn("Hello")), answer("So f", finish_reason=STOPPED))
    assert as_markdown(talk).endswith("So f\n\n*(stopped here)*\n")
