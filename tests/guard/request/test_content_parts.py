from __future__ import annotations

from typing import Any

import pytest
from support.preparing import base64_of

from stepaudio_serve.guard.refusal import Refusal, RefusedError
from stepaudio_serve.guard.request.parts import Audio, read_part

PLACE = "messages[1].content[0]"
BYTES = b"RIFF and so on"
DATA = base64_of(BYTES)
URL = f"data:audio/ogg;base64,{DATA}"


def refused(part: Any) -> Refusal:
    with pytest.raises(RefusedError) as caught:
        read_part(part, PLACE)
    refusal = caught.value.refusal
    assert refusal.status == 400
    assert refusal.param is not None
    assert refusal.param.startswith(PLACE)
    assert PLACE in refusal.message
    return refusal


class TestText:
    @pytest.mark.parametrize(
        "part",
        [
            "hello",
            {"type": "text", "text": "hello"},
            {"type": "input_text", "text": "hello"},
            {"type": "text", "value": "hello"},
            {"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}},
        ],
    )
    def test_each_way_of_writing_it(self, part: Any) -> None:
        assert read_part(part, PLACE) == "hello"

    @pytest.mark.parametrize("text", [None, 1, ["a"], {"a": "b"}])
    def test_it_is_a_string(self, text: Any) -> None:
        assert refused({"type": "text", "text": text}).code == "invalid_type"


class TestAudio:
    @pytest.mark.parametrize(
        "part",
        [
            {"type": "input_audio", "input_audio": {"data": DATA, "format": "wav"}},
            {"type": "input_audio", "input_audio": {"data": DATA, "format": "flac"}},
            {"type": "input_audio", "input_audio": {"data": DATA, "format": 7}},
            {"type": "input_audio", "input_audio": {"data": DATA}},
            {"type": "input_audio", "input_audio": {"data": URL, "format": "wav"}},
            {"type": "input_audio", "input_audio": DATA},
            {"type": "input_audio", "audio_data": DATA, "mime_type": "audio/wav"},
            {"type": "input_audio", "audio_data": DATA},
            {"type": "input_audio", "audio_data": URL, "input_audio": None},
            {"type": "audio_url", "audio_url": {"url": URL}},
            {"type": "audio_url", "audio_url": URL},
            {"type": "audio_url", "audio_url": {"url": f"data:video/mp4;base64,{DATA}"}},
            {"type": "audio_url", "audio_url": {"url": "data:,RIFF%20and%20so%20on"}},
            {"type": "audio", "audio": DATA},
            {"type": "audio", "audio": URL},
            {"type": "audio", "audio": {"data": DATA, "format": "mp3"}},
            {"type": "audio", "audio": {"url": URL}},
        ],
    )
    def test_each_way_of_sending_it(self, part: Any) -> None:
        audio = read_part(part, PLACE)
        assert isinstance(audio, Audio)
        assert (audio.data, audio.param) == (BYTES, PLACE)

    @pytest.mark.parametrize(
        "part",
        [
            {"type": "input_audio"},
            {"type": "input_audio", "input_audio": None},
            {"type": "input_audio", "input_audio": {}},
            {"type": "input_audio", "input_audio": {"format": "wav"}},
            {"type": "input_audio", "input_audio": {"data": DATA}, "audio_data": DATA},
            {"type": "audio", "audio": {"data": DATA, "url": URL}},
        ],
    )
    def test_it_is_there_once(self, part: Any) -> None:
        refusal = refused(part)
        assert refusal.code == "audio_missing"
        assert '"type": "input_audio"' in refusal.message

    @pytest.mark.parametrize("value", [1, True, [DATA], {"data": 1}, {"data": [DATA]}])
    @pytest.mark.parametrize("kind", ["input_audio", "audio"])
    def test_it_is_text(self, kind: str, value: Any) -> None:
        assert refused({"type": kind, kind: value}).code == "invalid_type"

    @pytest.mark.parametrize("value", [None, 1, [], {}, {"url": None}, {"url": {"url": URL}}])
    def test_so_is_its_address(self, value: Any) -> None:
        assert refused({"type": "audio_url", "audio_url": value}).code == "invalid_type"

    @pytest.mark.parametrize(
        "part",
        [
            {"type": "audio_url", "audio_url": {"url": "http://127.0.0.1/a.wav"}},
            {"type": "audio_url", "audio_url": "https://example.org/a.wav"},
            {"type": "input_audio", "input_audio": {"data": "https://example.org/a.wav"}},
            {"type": "audio", "audio": "file:///etc/passwd"},
        ],
    )
    def test_nothing_is_fetched(self, part: Any) -> None:
        assert refused(part).code == "audio_url_not_fetched"


class TestWhatIsNeither:
    @pytest.mark.parametrize(
        "kind", ["image_url", "input_image", "video_url", "file", "refusal", "audio_embeds", "", None, 1, [], {}]
    )
    def test_it_is_refused_by_its_type(self, kind: Any) -> None:
        assert refused({"type": kind, "image_url": {"url": URL}}).code == "unsupported_part"

    def test_so_is_a_part_without_one(self) -> None:
        assert refused({"audio_url": URL}).code == "unsupported_part"

    @pytest.mark.parametrize("part", [None, 1, True, [], [{"type": "text", "text": "a"}]])
    def test_a_part_is_an_object(self, part: Any) -> None:
        assert refused(part).code == "invalid_type"

    @pytest.mark.parametrize(
        "part",
        [
            {"type": "text", "text": "a", "audio": DATA},
            {"type": "input_audio", "input_audio": {"data": DATA, "uuid": "1"}},
            {"type": "input_audio", "input_audio": {"data": DATA}, "uuid": "1"},
            {"type": "audio_url", "audio_url": {"url": URL, "x": 1}},
        ],
    )
    def test_unknown_keys_do_not_pass(self, part: Any) -> None:
        assert refused(part).code == "unknown_field"

    def test_unless_they_are_null(self) -> None:
        assert read_part({"type": "text", "text": "a", "uuid": None}, PLACE) == "a"
