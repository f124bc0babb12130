from __future__ import annotations

import asyncio
import base64
import io
import json
from typing import Any

import pytest
import soundfile
from support import sounds
from support.preparing import (
    CHAT,
    COMPLETIONS,
    TOKENIZE,
    Engine,
    base64_of,
    input_audio,
    limited,
    prepared,
    question,
    refusal,
    sent,
)

from stepaudio_serve.guard.config import GuardConfig
from stepaudio_serve.guard.prepared import Clip
from stepaudio_serve.guard.refusal import RefusedError
from stepaudio_serve.guard.request.decoding import DecoderPool
from stepaudio_serve.guard.request.prepare import prepare
from stepaudio_serve.guard.request.threads import Threads

TWO_SECONDS = sounds.wav(seconds=2.0)
CONFIG = GuardConfig(stop_token_ids=(151665,), sampling={"temperature": 0.7})


def clips(request: dict[str, Any], message: int = 0) -> list[bytes]:
    parts = request["messages"][message]["content"]
    return [base64.b64decode(part["input_audio"]["data"]) for part in parts if part["type"] == "input_audio"]


def seconds(clip: bytes) -> float:
    duration: float = soundfile.info(io.BytesIO(clip)).duration
    return duration


class TestClients:
    def test_the_model_cards(self) -> None:
        payload = {
            "model": "Step-Audio-R1",
            "stream": True,
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_audio", "audio_data": base64_of(TWO_SECONDS), "mime_type": "audio/wav"},
                        {"type": "text", "text": "Transcribe this and describe the speaker."},
                    ],
                }
            ],
        }
        result = prepared(payload, config=CONFIG)
        assert (result.path, result.stream, result.thinking, result.transcript) == (CHAT, True, "opened", None)
        assert json.loads(result.body) == {
            "model": "Step-Audio-R1",
            "stream": True,
            "stop_token_ids": [151665],
            "temperature": 0.7,
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_audio", "input_audio": {"data": base64_of(TWO_SECONDS), "format": "wav"}},
                        {"type": "text", "text": "Transcribe this and describe the speaker."},
                    ],
                }
            ],
        }

    def test_the_authors(self) -> None:
        payload = {
            "model": "Step-Audio-R1",
            "messages": [
                {"role": "system", "content": "You are an expert."},
                {"role": "human", "content": [input_audio(TWO_SECONDS), input_audio(TWO_SECONDS)]},
                {"role": "assistant", "content": "<think>\n"},
            ],
            "continue_final_message": True,
            "add_generation_prompt": False,
            "stop_token_ids": [151665],
            "skip_special_tokens": False,
            "max_tokens": 32000,
            "temperature": 0.7,
            "repetition_penalty": 1.0,
            "stream": False,
        }
        result = prepared(payload)
        request = json.loads(result.body)
        assert result.thinking == "raw"
        assert request["messages"][1]["role"] == "user"
        assert request["messages"][2] == {"role": "assistant", "content": "<think>\n"}
        assert clips(request, 1) == [TWO_SECONDS, TWO_SECONDS]
        assert dict(result.notices)[b"x-stepaudio-max-tokens"] == str(request["max_tokens"]).encode()
        assert 16000 < request["max_tokens"] < 16384


class TestAudio:
    def test_long_audio_becomes_pieces_in_its_place(self) -> None:
        minute = sounds.encode(sounds.tone(440, 60.0, rate=8000), rate=8000, form="OGG", subtype="VORBIS")
        request = sent(question("before", input_audio(minute), "after"))
        kinds = [part["type"] for part in request["messages"][0]["content"]]
        assert kinds[0] == kinds[-1] == "text"
        assert set(kinds[1:-1]) == {"input_audio"}
        lengths = [seconds(clip) for clip in clips(request)]
        assert max(lengths) <= 25
        assert sum(lengths) == pytest.approx(60.0, abs=0.01)

    def test_many_parts_stay_apart_and_in_order(self) -> None:
        parts = [input_audio(sounds.encode(sounds.tone(200 + 100 * number, 1.0 + number))) for number in range(4)]
        messages = [{"role": "user", "content": parts[:3]}, {"role": "user", "content": parts[3:]}]
        request = sent({"messages": messages})
        lengths = [[seconds(clip) for clip in clips(request, message)] for message in (0, 1)]
        assert lengths == [[1.0, 2.0, 3.0], [4.0]]

    @pytest.mark.parametrize("name", sounds.ODD_FORMATS)
    def test_odd_formats_are_heard_whatever_they_are_called(self, name: str) -> None:
        (clip,) = clips(sent(question(input_audio(sounds.odd(name), "mp3"))))
        assert seconds(clip) == pytest.approx(2.0, abs=0.1)

    def test_the_part_that_cannot_be_heard_is_named(self) -> None:
        result = refusal(question(input_audio(TWO_SECONDS), input_audio(b"no sound")))
        assert (result.code, result.param) == ("audio_unreadable", "messages[0].content[1]")


class TestDamage:
    CUT = sounds.wav(seconds=4.0)[: 44 + 3 * 32000]

    def notice(self, *parts: bytes, **fields: Any) -> str:
        result = prepared(question(*map(input_audio, parts), **fields))
        return dict(result.notices).get(b"x-stepaudio-notice", b"").decode()

    def test_of_audio_that_is_not_whole_it_is_said_how_much_was_read(self) -> None:
        expected = "messages[0].content[1]: damaged, only the first 3.0 s could be read"
        assert self.notice(TWO_SECONDS, self.CUT) == expected
        assert self.notice(TWO_SECONDS) == ""

    def test_beside_what_else_is_said_and_not_without_end(self) -> None:
        said = self.notice(*[self.CUT] * 10, max_tokens=32000).split("; ")
        assert said[0].startswith("max_tokens lowered from 32000")
        assert said[-1] == "and 2 more"
        assert len(said) == 10


class TestAudioLimits:
    def test_parts_are_counted_before_they_are_decoded(self) -> None:
        result = refusal(question(*[input_audio(b"no sound")] * 3), config=limited(audio_parts=2))
        assert (result.code, result.param) == ("too_many_clips", "messages[0].content[2]")

    def test_and_after_cutting(self) -> None:
        minute = input_audio(sounds.wav(seconds=60.0))
        assert refusal(question(minute), config=limited(audio_parts=2)).code == "too_many_clips"
        assert refusal(question(input_audio(TWO_SECONDS), minute), config=limited(audio_parts=2)).code == (
            "too_many_clips"
        )

    def test_no_more_is_decoded_than_the_clips_may_hold(self) -> None:
        asked: list[float] = []

        async def decode(data: bytes, param: str, seconds_left: float) -> list[Clip]:
            asked.append(seconds_left)
            return [Clip(TWO_SECONDS, 2.0)] * 2

        body = json.dumps(question(*[input_audio(b"a")] * 3)).encode()
        config = limited(audio_parts=5, audio_seconds=120.0)
        with pytest.raises(RefusedError):
            asyncio.run(prepare(CHAT, "application/json", body, config=config, decoder=decode, engine=Engine()))
        assert asked == [120.0, 75.0, 25.0]

    def test_seconds_are_counted_over_all_parts(self) -> None:
        config = limited(audio_seconds=5.0)
        two = input_audio(TWO_SECONDS)
        prepared(question(two, two), config=config)
        result = refusal(question(two, two, two), config=config)
        assert (result.code, result.param) == ("audio_too_long", "messages[0].content[2]")
        assert "the 1 s of audio" in result.message

    def test_once_they_are_used_up_nothing_more_is_decoded(self) -> None:
        result = refusal(
            question(input_audio(TWO_SECONDS), input_audio(b"no sound")), config=limited(audio_seconds=2.0)
        )
        assert (result.code, result.param) == ("audio_too_long", "messages[0].content[1]")

    def test_without_a_limit_the_context_is_one(self) -> None:
        engine = Engine(context=100)
        prepared(question(input_audio(sounds.wav(seconds=8.0))), engine=engine)
        assert refusal(question(input_audio(sounds.wav(seconds=8.1))), engine=engine).code == "audio_too_long"
        prepared(question(input_audio(sounds.wav(seconds=8.1))), engine=Engine(context=None))

    def test_an_engine_that_does_not_say_its_context_is_no_leave_for_hours(self) -> None:
        result = refusal(
            question(input_audio(sounds.long_file("FLAC", "PCM_16", 22))),
            engine=Engine(context=None),
            config=limited(audio_parts=1000),
        )
        assert (result.code, "the 1311 s" in result.message) == ("audio_too_long", True)


class TestTokens:
    def test_the_newer_name_wins_and_stays(self) -> None:
        request = sent(question("a", max_tokens=5, max_completion_tokens=7))
        assert (request.get("max_tokens"), request["max_completion_tokens"]) == (None, 7)

    def test_audio_takes_its_share(self) -> None:
        engine = Engine(context=1000, tokens=100)
        request = sent(question(input_audio(sounds.wav(seconds=20.0)), max_tokens=32000), engine=engine)
        assert 600 < request["max_tokens"] <= 1000 - 100 - 252
        (counted,) = engine.counted
        assert counted == {"messages": [{"role": "user", "content": ""}]}

    def test_a_request_that_asks_for_none_is_given_none(self) -> None:
        assert "max_tokens" not in sent(question("a"))
        assert sent(question("a"), config=limited(tokens=10))["max_tokens"] == 10


class TestMediaType:
    @pytest.mark.parametrize(
        "content_type", ["application/json", "Application/JSON; charset=utf-8", " application/json"]
    )
    @pytest.mark.parametrize("path", [CHAT, COMPLETIONS, TOKENIZE])
    def test_json_is_taken(self, content_type: str, path: str) -> None:
        body = question("a") if path == CHAT else {"prompt": "a"}
        prepared(body, path, content_type=content_type)

    @pytest.mark.parametrize(
        "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"]
    )
    def test_nothing_else(self, content_type: str) -> None:
        result = refusal(question("a"), content_type=content_type)
        assert (result.status, result.code) == (415, "unsupported_media_type")


class TestLargeRequests:
    def test_they_arrive_whole(self) -> None:
        four_minutes = sounds.long_file("WAV", "PCM_16", 4, loud=True)
        request = sent(question(input_audio(four_minutes)))
        assert sum(seconds(clip) for clip in clips(request)) == pytest.approx(240, abs=0.1)

    def test_they_are_read_beside_the_loop(self) -> None:
        body = json.dumps(question("no JSON that is taken", x="y" * (3 << 20))).encode()

        async def turns() -> int:
            threads = Threads(1, "test")
            decoder = DecoderPool(GuardConfig().limits)
            work = asyncio.ensure_future(
                prepare(
                    CHAT,
                    "application/json",
                    body,
                    config=GuardConfig(),
                    decoder=decoder,
                    engine=Engine(),
                    threads=threads,
                )
            )
            count = 0
            while not work.done():
                count += 1
                await asyncio.sleep(0)
            threads.close()
            decoder.close()
            with pytest.raises(RefusedError):
                await work
            return count

        assert asyncio.run(turns()) > 2

    def test_text_that_looks_like_a_clips_place_stays_text(self) -> None:
        text = json.dumps({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}})
        request = sent(question(text, input_audio(TWO_SECONDS)))
        assert request["messages"][0]["content"][0]["text"] == text
        assert clips(request) == [TWO_SECONDS]
