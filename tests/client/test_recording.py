"""Sounds as clips that the engine survives."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from support.spoken import RATE, heard, sentence, speech

from stepaudio_serve.client.recording import read_recording
from stepaudio_serve.client.sound import kept, samples_of
from stepaudio_serve.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

WORDS = list(range(140))  # 70 seconds


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.flac"
    soundfile.write(path, speech(WORDS), RATE)
    return path


def test_a_file_becomes_clips_of_25_seconds_at_most(talk: Path) -> None:
    recording = read_recording(talk)
    assert len(recording.clips) == 3
    assert all(clip.seconds <= 25 for clip in recording.clips)
    assert recording.seconds == pytest.approx(70)


def test_each_clip_is_a_wav_of_16_bit_at_16_khz_and_nothing_is_lost(talk: Path) -> None:
    samples = []
    for clip in read_recording(talk).clips:
        with wave.open(io.BytesIO(clip.wav)) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
            assert file.getnframes() / 16000 == clip.seconds
            samples.append(np.frombuffer(file.readframes(file.getnframes()), "<i2") / np.float32(32768))
    assert heard(np.concatenate(samples)) == sentence(WORDS)


def test_the_bytes_tell_what_a_file_is(talk: Path, tmp_path: Path) -> None:
    misnamed = talk.rename(tmp_path / "talk.txt")
    assert read_recording(misnamed).seconds == pytest.approx(70)


@pytest.mark.parametrize("name", ["absent.wav", "."])
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_recording(tmp_path / name)
    assert str(tmp_path / name) in caught.value.what
    assert caught.value.why
    assert caught.value.fix


@pytest.mark.parametrize("data", [b"", b"no sound", b"%PDF-1.7\n" * 40])
def test_what_holds_no_sound_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    with pytest.raises(SettingsError, match=r"a\.wav cannot be heard") as caught:
        read_recording(path)
    assert caught.value.why


def test_a_file_without_samples_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(0, np.float32), RATE)
    with pytest.raises(SettingsError) as caught:
        read_recording(path)
    assert "sound" in caught.value.why


def test_a_stream_is_kept_so_that_it_can_be_read_again(talk: Path) -> None:
    sound = kept(io.BytesIO(talk.read_bytes()))
    assert sound.name == "standard input"
    for _ in range(2):
        assert heard(np.concatenate(list(samples_of(sound)))) == sentence(WORDS)


def test_an_empty_stream_is_refused() -> None:
    with pytest.raises(SettingsError, match="standard input is empty"):
        kept(io.BytesIO(b""))
