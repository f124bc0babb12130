"""Sounds of any length, asked about over HTTP: the endpoint hears tones and writes down their words."""

from __future__ import annotations

import random
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
import soundfile
from starlette.responses import JSONResponse
from support.chat_server import BREAK, finish, piece
from support.spoken import RATE, WORDS, heard, samples_in, sentence, speech, text_in

from stepaudio_serve.client import listen as listening
from stepaudio_serve.client.listen import Listener, as_document, listen
from stepaudio_serve.client.sound import open_sound
from stepaudio_serve.client.tasks import load_task, prepare, question
from stepaudio_serve.client.wire import Question
from stepaudio_serve.errors import SettingsError, UnhealthyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.chat_server import ChatServer

    from stepaudio_serve.client.listen import Heard
    from stepaudio_serve.client.pieces import Piece
    from stepaudio_serve.client.sound import Sound

TRANSCRIBE = prepare(load_task("transcribe"))
SMALL = 8192
"""A context that holds some three minutes of audio for a transcript."""


class Noted(Listener):
    def __init__(self) -> None:
        self.notices: list[str] = []
        self.counts: list[int | None] = []
        self.begun: list[int] = []
        self.pieces: list[Piece] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def parts(self, count: int | None, seconds: float | None, context: int) -> None:
        self.counts.append(count)

    def part_begins(self, number: int, start: float, end: float) -> None:
        self.begun.append(number)

    def piece(self, piece: Piece) -> None:
        self.pieces.append(piece)

    def left(self, heard: Heard) -> None:
        self.broken_off = heard


def spoken_words(count: int, *, seed: int = 1) -> list[int]:
    numbers = random.Random(seed)
    return [numbers.randrange(WORDS) for _ in range(count)]


def reply(text: str, *, reason: str = "stop") -> list[object]:
    return [piece(f"Let me listen.\n</think>\n\n{text}"), *finish(reason)]


def writes_down(body: dict[str, Any]) -> list[object]:
    return reply(heard(samples_in(body)))


@pytest.fixture
def spoken(tmp_path: Path) -> Callable[[list[int]], Sound]:
    def make(numbers: list[int]) -> Sound:
        path = tmp_path / f"{len(numbers)}.flac"
        soundfile.write(path, speech(numbers), RATE)
        return open_sound(path)

    return make


def words_in(result: Heard) -> str:
    return " ".join(re.sub(r"\[\d\d:\d\d:\d\d\]", "", result.answer.text).split())


def whom(server: ChatServer, **more: Any) -> Question:
    return Question(server.url, "Step-Audio-R1", [], **more)


# ---- in one request


def test_what_fits_the_context_is_one_request(server: ChatServer, spoken: Callable[[list[int]], Sound]) -> None:
    words = spoken_words(200)
    server.answers(writes_down)
    result = listen([spoken(words)], TRANSCRIBE, whom(server), context=SMALL)
    assert result.answer.text == sentence(words)
    assert (result.requests, len(result.pieces), result.audio_seconds) == (1, 1, 100)
    (body, _) = server.requests[0]
    assert len([part for part in body["messages"][0]["content"] if part["type"] == "input_audio"]) in {4, 5}
    assert text_in(body) == TRANSCRIBE.prompt


def test_several_sounds_are_heard_in_their_order(server: ChatServer, spoken: Callable[[list[int]], Sound]) -> None:
    first, second = spoken_words(10), spoken_words(20, seed=2)
    server.answers(writes_down)
    result = listen([spoken(first), spoken(second)], question("Compare."), whom(server), context=SMALL)
    assert result.answer.text == sentence([*first, *second])


# ---- in parts


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_long_transcript_has_every_word_once(
    server: ChatServer, spoken: Callable[[list[int]], Sound], jobs: int
) -> None:
    words, noted = spoken_words(1500), Noted()
    server.answers(writes_down)
    result = listen([spoken(words)], TRANSCRIBE, whom(server), context=SMALL, jobs=jobs, listener=noted)
    assert words_in(result) == sentence(words)
    assert result.requests == len(result.pieces) == len(noted.begun) > 3
    assert noted.pieces == list(result.pieces)
    assert result.answer.text.startswith("[00:00:00] word")
    assert result.audio_seconds == pytest.approx(750)
    for before, after in zip(result.pieces, result.pieces[1:], strict=False):
        assert before.end == after.start
    assert result.answer.usage == {
        "prompt_tokens": 7 * result.requests,
        "completion_tokens": 3 * result.requests,
        "total_tokens": 10 * result.requests,
    }


def test_with_jobs_several_parts_are_asked_about_at_once(
    server: ChatServer, spoken: Callable[[list[int]], Sound]
) -> None:
    together = threading.Barrier(3, timeout=30)

    def meets(body: dict[str, Any]) -> list[object]:
        together.wait()
        return writes_down(body)

    words = spoken_words(900)
    server.answers(meets)
    result = listen([spoken(words)], TRANSCRIBE, whom(server), context=SMALL, longest=170, jobs=3)
    assert result.requests == 3
    assert words_in(result) == sentence(words)


def test_a_part_whose_transcript_was_cut_off_is_heard_in_halves(
    server: ChatServer, spoken: Callable[[list[int]], Sound]
) -> None:
    def runs_out(body: dict[str, Any]) -> list[object]:
        text = heard(samples_in(body)).split()
        return reply(" ".join(text[:200]), reason="length" if len(text) > 200 else "stop")

    words, noted = spoken_words(700), Noted()
    server.answers(runs_out)
    result = listen([spoken(words)], TRANSCRIBE, whom(server), context=SMALL, longest=150, listener=noted)
    assert words_in(result) == sentence(words)
    assert result.answer.finish_reason == "stop"
    assert "the answer was cut off" in noted.notices[0]


@pytest.mark.parametrize(
    "refusal",
    [
        JSONResponse({"error": {"code": "audio_too_long", "message": "at most 60 s"}}, 400),
        JSONResponse({"error": {"code": "request_too_large", "message": "at most 1 MiB"}}, 413),
        JSONResponse({"message": "This model's maximum context length is 2000 tokens.", "code": 400}, 400),
    ],
)
def test_what_the_endpoint_finds_too_much_is_sent_in_smaller_parts(
    server: ChatServer, spoken: Callable[[list[int]], Sound], refusal: JSONResponse
) -> None:
    def strict(body: dict[str, Any]) -> object:
        return refusal if len(samples_in(body)) > 90 * RATE else writes_down(body)

    words, noted = spoken_words(320), Noted()
    server.answers(strict)
    result = listen([spoken(words)], TRANSCRIBE, whom(server), context=SMALL, listener=noted)
    assert words_in(result) == sentence(words)
    assert "asked in parts" in noted.notices[0]


def test_what_is_too_much_as_a_whole_is_halved_at_once(
    server: ChatServer, spoken: Callable[[list[int]], Sound]
) -> None:
    words = spoken_words(100)
    server.answers(lambda body: JSONResponse({}, 413) if len(samples_in(body)) > 40 * RATE else writes_down(body))
    result = listen([spoken(words)], TRANSCRIBE, whom(server), context=SMALL, longest=60)
    assert words_in(result) == sentence(words)
    assert len(server.requests) == 1 + result.requests


def test_less_than_two_overlaps_is_never_sent_in_parts(
    server: ChatServer, spoken: Callable[[list[int]], Sound]
) -> None:
    server.refuses(413, {"error": {"message": "at most 10 s"}})
    with pytest.raises(SettingsError, match="more than the endpoint takes"):
        listen([spoken(spoken_words(60))], TRANSCRIBE, whom(server), context=SMALL)
    assert len(server.requests) == 1
    with pytest.raises(SettingsError) as caught:
        listen([spoken(spoken_words(100))], TRANSCRIBE, whom(server), context=SMALL)
    assert "parts are not made shorter. at most 10 s" in caught.value.why


def test_an_endpoint_that_breaks_off_is_asked_again(
    server: ChatServer, spoken: Callable[[list[int]], Sound], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "FIRST_PAUSE_SECONDS", 0.01)
    seen: list[int] = []

    def stumbles(body: dict[str, Any]) -> list[object]:
        seen.append(1)
        return [piece("wor"), BREAK] if len(seen) == 2 else writes_down(body)

    words, noted = spoken_words(700), Noted()
    server.answers(stumbles)
    result = listen([spoken(words)], TRANSCRIBE, whom(server), context=SMALL, listener=noted)
    assert words_in(result) == sentence(words)
    assert "Asked again" in noted.notices[0]


def test_one_that_stays_away_is_an_error(
    server: ChatServer, spoken: Callable[[list[int]], Sound], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "FIRST_PAUSE_SECONDS", 0.01)
    words, noted = spoken_words(700), Noted()
    server.answers(lambda body: writes_down(body) if len(server.requests) < 3 else [piece("wor"), BREAK])
    with pytest.raises(UnhealthyError):
        listen([spoken(words)], TRANSCRIBE, whom(server), context=SMALL, longest=120, listener=noted)
    assert len(server.requests) == 2 + 3
    assert noted.broken_off.answer.finish_reason == "broken_off"
    assert list(noted.broken_off.pieces) == noted.pieces
    assert sentence(words).startswith(words_in(noted.broken_off))
    assert noted.broken_off.audio_seconds > 200


@pytest.mark.parametrize("task", ["transcribe", "translate"])
def test_parts_in_which_nobody_speaks_leave_no_words(
    server: ChatServer, spoken: Callable[[list[int]], Sound], task: str
) -> None:
    server.answers(lambda body: reply("[no speech]"))
    result = listen([spoken(spoken_words(700))], prepare(load_task(task)), whom(server), context=SMALL)
    assert result.answer.text == ""
    assert {part.seam for part in result.pieces} == {"first", "silence"}


# ---- one answer of many


def sums_up(body: dict[str, Any]) -> list[object]:
    sound = samples_in(body)
    return reply(f"notes on {heard(sound).split()[1]}" if len(sound) else f"all: {text_in(body)}")


def test_a_question_about_long_audio_is_answered_from_the_answers_about_its_parts(
    server: ChatServer, spoken: Callable[[list[int]], Sound]
) -> None:
    words = spoken_words(1500)
    server.answers(sums_up)
    result = listen([spoken(words)], question("Who wins?"), whom(server), context=SMALL)
    first, *_, last = [text_in(body) for body, _ in server.requests]
    assert "one part of a longer recording" in first
    assert "Who wins?" in first
    assert result.answer.text.startswith(f"all: [00:00:00] notes on word{words[1]}")
    assert last.endswith("Answer this question about the whole from them: Who wins?")
    assert result.requests == len(result.pieces) + 1


def test_one_answer_of_many_is_asked_for_again_too(
    server: ChatServer, spoken: Callable[[list[int]], Sound], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "FIRST_PAUSE_SECONDS", 0.01)
    stumbled: list[int] = []

    def stumbles(body: dict[str, Any]) -> object:
        if not len(samples_in(body)) and len(stumbled) < 2:
            stumbled.append(1)
            return JSONResponse({"error": {"message": "restarting"}}, 503)
        return sums_up(body)

    server.answers(stumbles)
    result = listen([spoken(spoken_words(700))], question("Who wins?"), whom(server), context=SMALL)
    assert result.answer.text.startswith("all: ")
    assert len(stumbled) == 2


def test_what_the_parts_said_is_left_where_they_cannot_be_made_one(
    server: ChatServer, spoken: Callable[[list[int]], Sound], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "FIRST_PAUSE_SECONDS", 0.01)
    noted = Noted()
    server.answers(lambda body: sums_up(body) if len(samples_in(body)) else JSONResponse({}, 503))
    with pytest.raises(UnhealthyError):
        listen([spoken(spoken_words(700))], question("Who wins?"), whom(server), context=SMALL, listener=noted)
    assert noted.broken_off.answer.text.startswith("[00:00:00] notes on")


def test_nothing_is_not_made_one_answer(server: ChatServer, spoken: Callable[[list[int]], Sound]) -> None:
    server.answers(lambda body: [piece("Let me"), *finish("length")])
    with pytest.raises(UnhealthyError, match="no part was answered"):
        listen([spoken(spoken_words(700))], question("Who wins?"), whom(server), context=SMALL)
    assert all(len(samples_in(body)) for body, _ in server.requests)


def test_nor_is_nothing_made_of_what_a_round_left(server: ChatServer, spoken: Callable[[list[int]], Sound]) -> None:
    server.answers(lambda body: reply("n" * 3000) if len(samples_in(body)) else [piece("Let me"), *finish("length")])
    with pytest.raises(UnhealthyError, match="no part was answered"):
        listen([spoken(spoken_words(1500))], question("?"), whom(server), context=SMALL, longest=60)


def test_a_list_shows_the_answers_about_the_parts_and_one_about_the_whole(
    server: ChatServer, spoken: Callable[[list[int]], Sound]
) -> None:
    noted = Noted()
    server.answers(sums_up)
    task = prepare(load_task("emotion"))
    result = listen([spoken(spoken_words(1500))], task, whom(server), context=SMALL, listener=noted)
    *parts, final = result.answer.text.split("\n\nall: ")
    assert parts[0].count("notes on") == len(noted.pieces) == len(result.pieces)
    assert final.endswith(task.whole)


def test_texts_that_fill_the_context_are_made_fewer_round_by_round(
    server: ChatServer, spoken: Callable[[list[int]], Sound]
) -> None:
    def long_notes(body: dict[str, Any]) -> list[object]:
        return reply("n" * 3000 if len(samples_in(body)) else f"sum of {text_in(body).count('nnn') // 1000}")

    server.answers(long_notes)
    result = listen([spoken(spoken_words(1500))], question("?"), whom(server), context=SMALL, longest=60)
    joined = [text_in(body) for body, _ in server.requests if not len(samples_in(body))]
    assert len(joined) > 2
    assert all(len(text) < SMALL for text in joined)
    assert result.answer.text == "sum of 0"


# ---- limits


def test_a_context_without_room_for_audio_is_refused(server: ChatServer, spoken: Callable[[list[int]], Sound]) -> None:
    with pytest.raises(SettingsError, match="leaves room for"):
        listen([spoken(spoken_words(10))], TRANSCRIBE, whom(server), context=1024)
    assert server.requests == []


def test_an_unknown_context_is_assumed_and_said(server: ChatServer, spoken: Callable[[list[int]], Sound]) -> None:
    noted = Noted()
    server.answers(writes_down)
    result = listen([spoken(spoken_words(200))], TRANSCRIBE, whom(server), longest=60, listener=noted)
    assert result.context == 16384
    assert noted.notices == ["the endpoint does not say its context: 16384 tokens are assumed"]


def test_the_document_of_several_sounds_holds_each(server: ChatServer, spoken: Callable[[list[int]], Sound]) -> None:
    server.answers(writes_down)
    results = [
        (name, listen([spoken(spoken_words(count))], TRANSCRIBE, whom(server), context=SMALL))
        for name, count in (("a.wav", 3), ("b.wav", 4))
    ]
    said = as_document(results)
    assert said["text"] == f"## a.wav\n\n{sentence(spoken_words(3))}\n\n## b.wav\n\n{sentence(spoken_words(4))}"
    assert [result["sound"] for result in said["results"]] == ["a.wav", "b.wav"]
    assert said["usage"]["total_tokens"] == 20
    assert as_document(results[:1])["text"] == sentence(spoken_words(3))


def test_damage_is_summed_up(server: ChatServer, tmp_path: Path) -> None:
    path, noted = tmp_path / "a.mp3", Noted()
    soundfile.write(path, speech(spoken_words(80)), RATE, format="MP3")
    data = bytearray(path.read_bytes())
    for start in range(len(data) // 4, len(data) // 2, 500):
        data[start : start + 100] = bytes(100)
    path.write_bytes(data)
    server.answers(writes_down)
    listen([open_sound(path)], TRANSCRIBE, whom(server), context=SMALL, listener=noted)
    (notice,) = noted.notices
    assert re.search(r"a\.mp3 is damaged at \d+ places from 00:00:[01]\d to 00:00:[12]\d: what stood there", notice)
