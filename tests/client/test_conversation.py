from __future__ import annotations

import base64

import pytest
from test_recording import FLAC, MP3, OGG, wav

from stepaudio_serve.client.conversation import audio_part, user_message
from stepaudio_serve.client.recording import recognise


@pytest.mark.parametrize(("data", "sound_format"), [(wav(0.1), "wav"), (MP3, "mp3")])
def test_wav_and_mp3_travel_as_input_audio(data, sound_format):
    encoded = base64.b64encode(data).decode()
    assert audio_part(recognise(data)) == {
        "type": "input_audio",
        "input_audio": {"data": encoded, "format": sound_format},
    }


@pytest.mark.parametrize(("data", "sound_format"), [(FLAC, "flac"), (OGG, "ogg")])
def test_flac_and_ogg_travel_inside_a_url(data, sound_format):
    encoded = base64.b64encode(data).decode()
    assert audio_part(recognise(data)) == {
        "type": "audio_url",
        "audio_url": {"url": f"data:audio/{sound_format};base64,{encoded}"},
    }


def test_the_recordings_come_in_order_with_the_words_last():
    message = user_message("Compare them.", [recognise(FLAC), recognise(wav(30))])
    assert message["role"] == "user"
    assert [part["type"] for part in message["content"]] == ["audio_url", "input_audio", "input_audio", "text"]
    assert message["content"][-1] == {"type": "text", "text": "Compare them."}


def test_without_words_there_is_no_text_part():
    assert [part["type"] for part in user_message("", [recognise(MP3)])["content"]] == ["input_audio"]
