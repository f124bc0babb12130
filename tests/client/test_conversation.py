from __future__ import annotations

import base64

from stepaudio_serve.client.conversation import audio_part, user_message
from stepaudio_serve.client.recording import Clip, Recording

FIRST, SECOND, THIRD = Clip(b"RIFF 1", 20.0), Clip(b"RIFF 2", 5.0), Clip(b"RIFF 3", 1.0)


def test_a_clip_travels_as_a_wav_in_the_form_that_every_engine_takes() -> None:
    encoded = base64.b64encode(FIRST.wav).decode()
    assert audio_part(FIRST) == {"type": "input_audio", "input_audio": {"data": encoded, "format": "wav"}}


def test_the_recordings_come_in_order_with_the_words_last() -> None:
    message = user_message("Compare.", [Recording("a", (FIRST, SECOND)), Recording("b", (THIRD,))])
    assert message["role"] == "user"
    assert message["content"] == [*map(audio_part, (FIRST, SECOND, THIRD)), {"type": "text", "text": "Compare."}]


def test_without_words_there_is_no_text_part() -> None:
    assert user_message("", [Recording("a", (FIRST,))])["content"] == [audio_part(FIRST)]


def test_a_recording_is_as_long_as_its_clips() -> None:
    assert Recording("a", (FIRST, SECOND)).seconds == 25.0
