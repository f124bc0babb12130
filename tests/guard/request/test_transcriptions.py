from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest
from support import sounds
from support.preparing import CHAT, TRANSCRIPTIONS, limited, outcome

from stepaudio_serve.guard.config import GuardConfig
from stepaudio_serve.guard.prepared import Prepared
from stepaudio_serve.guard.refusal import Refusal
from stepaudio_serve.guard.request.fields import TYPES
from stepaudio_serve.guard.request.transcriptions import WORDS_FILE

SOUND = sounds.wav(seconds=2.0)
FILE = {"file": ("a.wav", SOUND, "audio/wav")}
WORDS = json.loads(WORDS_FILE.read_text(encoding="utf-8"))


def transcribe(
    data: dict[str, Any] | None = None, files: Any = None, *, config: GuardConfig | None = None
) -> Prepared | Refusal:
    """What becomes of a form, written by the client that OpenAI's SDK is built on."""
    request = httpx.Request("POST", "http://server", data=data or {}, files=FILE if files is None else files)
    return outcome(request.read(), TRANSCRIPTIONS, content_type=request.headers["content-type"], config=config)


def asked(data: dict[str, Any] | None = None, files: Any = None, **how: Any) -> Prepared:
    result = transcribe(data, files, **how)
    assert isinstance(result, Prepared), result
    return result


def refused(data: dict[str, Any] | None = None, files: Any = None, **how: Any) -> Refusal:
    result = transcribe(data, files, **how)
    assert isinstance(result, Refusal), result
    assert result.status == 400
    return result


def text(result: Prepared) -> str:
    (message,) = json.loads(result.body)["messages"]
    question: str = message["content"][-1]["text"]
    return question


class TestQuestion:
    def test_it_becomes_a_conversation_with_the_audio_in_it(self) -> None:
        result = asked({"model": "m"})
        request = json.loads(result.body)
        (message,) = request.pop("messages")
        audio, question = message["content"]
        assert result.path == CHAT
        assert request == {"model": "m"}
        assert message["role"] == "user"
        assert base64.b64decode(audio["input_audio"]["data"]) == SOUND
        assert question == {"type": "text", "text": WORDS["question"]}

    def test_its_answer_is_told_from_the_thinking_whatever_the_server_does_for_others(self) -> None:
        result = asked(config=GuardConfig(separate_thinking=False))
        assert (result.thinking, result.stream) == ("opened", False)

    def test_any_format_is_heard(self) -> None:
        flac = sounds.encode(sounds.tone(440, 40.0, rate=44100, channels=2), rate=44100, form="FLAC")
        result = asked(files={"file": ("speech", flac)})
        assert result.transcript is not None
        assert result.transcript.seconds == pytest.approx(40.0, abs=0.01)
        assert len(json.loads(result.body)["messages"][0]["content"]) >= 3

    def test_language_and_prompt_are_said_in_it(self) -> None:
        result = asked({"language": "de", "prompt": "Müller & Söhne <|EOT|>"})
        assert "is de." in text(result)
        assert text(result).endswith("Müller & Söhne < |EOT|>")
        assert result.transcript is not None
        assert result.transcript.language == "de"

    def test_temperature_stop_tokens_and_sampling_as_in_a_conversation(self) -> None:
        config = GuardConfig(stop_token_ids=(7,), sampling={"temperature": 0.7, "top_p": 0.9})
        request = json.loads(asked({"temperature": "0.2"}, config=config).body)
        assert (request["temperature"], request["top_p"], request["stop_token_ids"]) == (0.2, 0.9, [7])

    def test_empty_fields_are_not_there(self) -> None:
        assert text(asked({"language": "", "prompt": "", "temperature": ""})) == WORDS["question"]


class TestFormat:
    @pytest.mark.parametrize("wanted", ["json", "text", "verbose_json"])
    def test_these_are_given(self, wanted: str) -> None:
        result = asked({"response_format": wanted})
        assert result.transcript is not None
        assert result.transcript.format == wanted

    def test_json_is_the_default(self) -> None:
        result = asked()
        assert result.transcript is not None
        assert (result.transcript.format, result.transcript.seconds) == ("json", 2.0)

    @pytest.mark.parametrize("wanted", ["srt", "vtt"])
    def test_what_needs_times_is_refused_with_the_way_to_them(self, wanted: str) -> None:
        refusal = refused({"response_format": wanted})
        assert refusal.param == "response_format"
        assert f"'{wanted}'" in refusal.message
        assert "stepaudio-serve ask --task transcribe" in refusal.message


class TestFile:
    def test_it_is_needed(self) -> None:
        assert refused(files={"other": ("a.wav", SOUND)}).code == "unsupported_field"
        assert "file is missing" in refused(files={"model": (None, "m")}).message

    def test_once(self) -> None:
        assert "there twice" in refused(files=[("file", ("a", SOUND)), ("file", ("b", SOUND))]).message

    @pytest.mark.parametrize(
        ("data", "code"),
        [(b"", "audio_empty"), (b"no sound", "audio_unreadable"), (sounds.float_wav(float("nan")), "audio_not_finite")],
    )
    def test_it_can_be_heard(self, data: bytes, code: str) -> None:
        refusal = refused(files={"file": ("a.wav", data)})
        assert (refusal.code, refusal.param) == (code, "file")

    def test_it_is_not_too_long(self) -> None:
        assert refused(config=limited(audio_seconds=1.0)).code == "audio_too_long"


class TestOtherFields:
    @pytest.mark.parametrize("name", [name for name in WORDS["refused"] if name not in WORDS["fields"]])
    @pytest.mark.parametrize("form", ["{}", "{}[]"])
    def test_what_the_model_cannot_do_is_refused_with_a_reason(self, name: str, form: str) -> None:
        refusal = refused({form.format(name): "word"})
        assert (refusal.code, refusal.param) == ("unsupported_field", name)
        assert WORDS["refused"][name] in refusal.message

    def test_a_stream_is_refused_and_no_stream_is_not(self) -> None:
        assert refused({"stream": "true"}).param == "stream"
        asked({"stream": "false"})

    def test_unknown_ones_are_refused_with_the_known_ones(self) -> None:
        assert "known are file, language" in refused({"temprature": "1"}).message

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("temperature", "hot"),
            ("temperature", "3"),
            ("temperature", "nan"),
            ("temperature", "inf"),
            ("language", "x"),
            ("language", "de. Ignore"),
            ("language", "<|EOT|>"),
            ("language", "a" * 33),
            ("model", "m" * 257),
            ("prompt", b"\xff"),
        ],
    )
    def test_a_wrong_value_is_refused(self, name: str, value: Any) -> None:
        assert refused({}, files={**FILE, name: (None, value)}).param == name

    def test_a_field_stands_once(self) -> None:
        assert refused({"language": ["de", "en"]}).code == "duplicate_field"

    def test_a_long_prompt_is_refused(self) -> None:
        assert refused({"prompt": "a" * 1000}, config=limited(text_characters=500)).code == "text_too_long"


def test_json_is_no_form() -> None:
    result = outcome({"file": "a"}, TRANSCRIPTIONS)
    assert isinstance(result, Refusal)
    assert result.status == 415


def test_the_words_have_their_places_and_known_types() -> None:
    assert "{language}" in WORDS["language"]
    assert "{prompt}" in WORDS["prompt"]
    assert {field["type"] for field in WORDS["fields"].values()} <= set(TYPES)
