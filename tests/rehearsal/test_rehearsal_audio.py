"""It decodes what it is sent and answers with what it measured."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest

from stepaudio_serve.rehearsal.listen import UndecodableError, listen, measure


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_clip_is_measured_whatever_its_container(engine, part, container):
    answer = engine.text(part(2.4, 220, container=container))
    assert answer.split("</think>\n\n")[1].startswith("I am a rehearsal: no model listened. Clip 1: 2.4")
    assert "16000 Hz, mono, level -9.0 dBFS" in answer
    assert re.search(r"pitch about (219|220|221) Hz\.$", answer)


def test_the_length_is_given_to_a_hundredth_of_a_second(engine, part):
    assert "Clip 1: 2.40 s, " in engine.text(part(2.4))


def test_clips_are_numbered_over_the_whole_conversation(engine, part):
    messages = [
        {"role": "user", "content": [part(1.0, 300)]},
        {"role": "assistant", "content": "A tone."},
        {"role": "user", "content": [part(0.5, 0, rate=48000, channels=2), {"type": "text", "text": "And now?"}]},
    ]
    answer = engine.post("/v1/chat/completions", {"messages": messages}).json()["choices"][0]["message"]["content"]
    assert "Clip 1: 1.00 s, 16000 Hz, mono, " in answer
    assert "Clip 2: 0.50 s, 48000 Hz, stereo, silence, no clear pitch." in answer


def test_without_audio_it_says_so(engine):
    assert engine.text().endswith("I am a rehearsal: no model listened. There was no audio.")


def test_a_data_url_is_heard_too(engine, sound):
    url = "data:audio/flac;base64," + base64.b64encode(sound(1.25, container="FLAC")).decode()
    assert "Clip 1: 1.25 s" in engine.text({"type": "audio_url", "audio_url": {"url": url}})


@pytest.mark.parametrize("hertz", [60, 110, 220, 440, 1000, 2000, 3500])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_the_pitch_of_a_tone_is_within_two_percent(sound, hertz, rate):
    assert listen(sound(1.0, hertz, rate=rate)).pitch_hz == pytest.approx(hertz, rel=0.02)


@pytest.mark.parametrize("strengths", [(1, 0.5, 0.33, 0.25), (0.5, 1)])
def test_a_harmonic_tone_has_the_pitch_of_its_fundamental(strengths):
    time = np.arange(16000) / 16000
    tone = sum(height * np.sin(2 * np.pi * 150 * k * time) for k, height in enumerate(strengths, 1))
    clip = measure((tone / 4).astype("float32")[:, None], 16000, seconds=1.0, channels=1)
    assert clip.pitch_hz == pytest.approx(150, rel=0.02)


def test_of_a_very_long_clip_only_the_level_is_cut_short_not_the_length(sound):
    assert listen(sound(700.0, 20, rate=100)).seconds == 700.0


@pytest.mark.parametrize("hertz", [None, 0])
def test_noise_and_silence_have_no_pitch(sound, hertz):
    assert listen(sound(2.0, hertz)).pitch_hz is None


def test_levels_are_relative_to_full_scale(sound):
    clip = listen(sound(1.0, 440, amplitude=1.0))
    assert clip.peak_dbfs == pytest.approx(0, abs=0.01)
    assert clip.level_dbfs == pytest.approx(-3.01, abs=0.01)


@pytest.mark.parametrize("data", [b"garbage" * 99, b"RIFF", b"\0" * 4096])
def test_what_is_no_audio_is_refused(data):
    with pytest.raises(UndecodableError):
        listen(data)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"type": "input_audio", "input_audio": {"data": "@@@!", "format": "wav"}}, "not base64"),
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, "empty"),
        ({"type": "input_audio", "input_audio": {"data": "Z2FyYmFnZQ==", "format": "wav"}}, "Invalid or unsupported"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "flac"}}, "must be 'wav' or 'mp3'"),
        ({"type": "input_audio", "audio_data": "AAAA", "mime_type": "audio/wav"}, "input_audio.data"),
        ({"type": "audio_url", "audio_url": {"url": "http://localhost/a.wav"}}, "fetches nothing"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}, "neither text nor audio"),
    ],
)
def test_a_broken_part_is_a_bad_request_in_openais_shape(engine, broken, message):
    response = engine.ask(broken)
    assert response.status_code == 400
    error = response.json()["error"]
    assert message in error["message"]
    assert (error["type"], error["code"]) == ("BadRequestError", 400)


def test_an_empty_clip_is_a_bad_request(engine, part):
    assert "too short" in engine.ask(part(0.0)).json()["error"]["message"]
