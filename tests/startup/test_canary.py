from __future__ import annotations

import io
import wave
from dataclasses import replace

import pytest
from support.chat_server import HANG, chat_server, finish, piece

from stepaudio_serve.client.answer import Finish, Text, Thinking
from stepaudio_serve.startup.canary import ask_canary, heard, judge, load_canary, until_decided

CANARY = load_canary()


@pytest.fixture(scope="module")
def running_server():
    with chat_server() as running:
        yield running


@pytest.fixture
def server(running_server):
    return running_server.forget()


def ask(server, canary=CANARY, engine="vllm", **choices):
    return ask_canary(canary, server.url, "Step-Audio-R1", engine=engine, **choices)


def decided(*events, engine="vllm"):
    return list(until_decided(CANARY, engine, events))


class TestTheClip:
    def test_is_a_clip_as_the_encoder_takes_it(self):
        with wave.open(io.BytesIO(CANARY.clip)) as sound:
            assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 16000)

    def test_is_short_and_small(self):
        assert 2 <= CANARY.clip_seconds <= 3
        assert len(CANARY.clip) < 120_000

    def test_holds_sound(self):
        with wave.open(io.BytesIO(CANARY.clip)) as sound:
            frames = memoryview(sound.readframes(sound.getnframes())).cast("h")
        assert max(frames) > 16000


class TestTheQuestion:
    def test_its_sentence_is_a_right_answer(self):
        assert heard(replace(CANARY, words_needed=len(CANARY.words)), "vllm", CANARY.sentence)

    def test_its_own_words_are_not(self):
        assert not heard(replace(CANARY, words_needed=1), "vllm", CANARY.question)


@pytest.mark.parametrize(
    "answer",
    [
        "The password is seven purple elephants.",
        "the password is 7 purple elephants",
        "“THE PASSWORD IS SEVEN PURPLE ELEPHANTS!”",
        "The speaker says: **The pass-word is seven-purple-elephant**.",
        "The pass word\nis seven purple\nelephants",
        "The word is \N{FULLWIDTH DIGIT SEVEN} purple elephants.",
        "The password is eleven purple elephants.",
        "Password: seven purple events.",
    ],
)
def test_an_answer_with_enough_of_the_words_was_heard(answer):
    assert heard(CANARY, "vllm", answer)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "!!!!!!!!!!!!!!!!!",
        "I hear a low tone.",
        "There is no audio here.",
        "The password is 77 purpleelephants.",
        "The password is eleven purple events.",
        "password password password password",
        "passwords sevenths purples elephantine",
    ],
)
def test_an_answer_without_them_was_not(answer):
    assert not heard(CANARY, "vllm", answer)


@pytest.mark.parametrize(
    ("answer", "was_heard"),
    [
        ("I am a rehearsal. Clip 1: 2.88 s, 16000 Hz, mono, level -18.2 dBFS.", True),
        ("Clip 1: 2.88 s.", True),
        ("Clip 1: 2.87 s, 16000 Hz, mono", False),
        ("Clip 1: 12.88 s, 16000 Hz, mono", False),
        ("Clip 1: 2.88 semitones", False),
        ("There was no audio.", False),
        ("The password is seven purple elephants.", False),
    ],
)
def test_a_rehearsal_heard_when_it_measured_the_length(answer, was_heard):
    assert f"{CANARY.clip_seconds:.2f}" == "2.88"
    assert heard(CANARY, "rehearsal", answer) is was_heard


class TestReading:
    def test_stops_once_every_word_was_said(self):
        events = [Thinking("hm"), Text("password seven purple elephants"), Text("."), Text(" And"), Finish("stop")]
        assert decided(*events) == events[:3]

    def test_goes_on_while_the_last_word_may_go_on(self):
        events = [Text("password seven purple elephant"), Text("s"), Text("!"), Finish("stop")]
        assert decided(*events) == events[:3]

    def test_goes_on_while_words_are_missing(self):
        events = [Text("password seven purple. "), Finish("stop")]
        assert decided(*events) == events

    def test_does_not_stop_for_words_that_are_only_thought(self):
        events = [Thinking("password seven purple elephants."), Text("no"), Finish("stop")]
        assert decided(*events) == events

    def test_stops_at_the_bound_of_an_answer(self):
        pieces = [Text("word ")] * 1000
        assert sum(len(event.text) for event in decided(*pieces)) == CANARY.max_answer_characters

    def test_stops_at_the_bound_of_tokens(self):
        assert len(decided(*[Thinking("hm ")] * 9999)) == CANARY.max_tokens

    def test_stops_for_a_rehearsal_once_the_length_was_said(self):
        events = [Text("Clip 1: 2.88 s"), Text(", "), Text("16000 Hz"), Finish("stop")]
        assert decided(*events, engine="rehearsal") == events[:2]


class TestTheVerdict:
    def test_is_on_the_answer_not_on_the_thinking(self):
        events = [Thinking("password seven purple elephants"), Text("A low tone."), Finish("stop")]
        verdict = judge(CANARY, "vllm", events, seconds=1)
        assert (verdict.heard, verdict.answer) == (False, "A low tone.")
        assert CANARY.sentence in verdict.why

    @pytest.mark.parametrize(("thinking", "was_heard"), [("It says: seven purple elephants", True), ("la la", False)])
    def test_is_on_the_thinking_where_no_answer_followed(self, thinking, was_heard):
        verdict = judge(CANARY, "vllm", [Thinking(thinking)], seconds=1)
        assert (verdict.heard, verdict.answer) == (was_heard, None)
        assert "thinking" in verdict.why

    def test_is_open_when_something_went_wrong(self):
        events = [Text("The password is seven purple elephants")]
        verdict = judge(CANARY, "vllm", events, seconds=1, trouble="The engine broke off.")
        assert (verdict.heard, verdict.why) == (None, "The engine broke off.")


def test_a_right_answer_is_heard(server):
    server.says(piece("Hm.</think>"), piece("The password is seven purple elephants."), *finish())
    result = ask(server, api_key="sk-1")
    assert (result.heard, result.why) == (True, "")
    assert result.answer == "The password is seven purple elephants."
    assert result.asked == CANARY.question
    assert result.seconds > 0


def test_the_clip_goes_before_the_words_and_nothing_is_left_to_chance(server):
    server.says(*finish())
    ask(server, api_key="sk-1")
    body, headers = server.requests[0]
    assert [part["type"] for part in body["messages"][0]["content"]] == ["input_audio", "text"]
    assert body["temperature"] == 0
    assert headers["authorization"] == "Bearer sk-1"


def test_no_bound_is_sent_that_a_small_context_would_refuse(server):
    server.says(*finish())
    ask(server)
    assert "max_tokens" not in server.requests[0][0]


def test_an_engine_that_never_stops_is_left_once_the_answer_is_decided(server):
    server.says(piece("Hm.</think>The password is 7 purple elephants."), HANG)
    assert ask(server).heard is True
    assert server.gone.wait(5)


def test_an_answer_that_never_ends_is_left_at_its_bound(server):
    server.drips(piece("</think>la "), every=0)
    assert ask(server).heard is False


def test_an_engine_that_hangs_is_not_judged(server):
    server.says(piece("Hm."), HANG)
    result = ask(server, replace(CANARY, timeout=0.3))
    assert (result.heard, result.answer) == (None, None)
    assert "0.3 s" in result.why


@pytest.mark.parametrize("status", [400, 500])
def test_an_engine_that_refuses_is_not_judged_and_its_words_are_kept(server, status):
    server.refuses(status, {"error": {"message": "no tokenizer"}})
    result = ask(server)
    assert (result.heard, result.answer) == (None, None)
    assert "no tokenizer" in result.why


def test_a_rehearsal_is_judged_by_what_it_measured(server):
    server.says(piece("Measuring.</think>Clip 1: 2.88 s, 16000 Hz, mono."), *finish())
    assert ask(server, engine="rehearsal").heard is True
