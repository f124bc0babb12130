from __future__ import annotations

import io
import wave

import pytest

from stepaudio_serve.client.recording import Recording, as_wav, clips, read_recording, recognise, sniff, unmeasured
from stepaudio_serve.errors import SettingsError

RATE = 8000
FLAC, OGG, MP3 = b"fLaC" + bytes(40), b"OggS" + bytes(40), b"ID3\x04" + bytes(40)


def wav(seconds: float, *, rate: int = RATE, channels: int = 1, sample_bytes: int = 2) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(sample_bytes)
        file.setframerate(rate)
        frame = channels * sample_bytes
        file.writeframes(b"".join((n % 251).to_bytes(1, "big") * frame for n in range(round(seconds * rate))))
    return buffer.getvalue()


def float_wav() -> bytes:
    data = bytearray(wav(0.1, sample_bytes=4))
    data[20:22] = (3).to_bytes(2, "little")  # the format tag: IEEE float
    return bytes(data)


def samples(recording: Recording) -> bytes:
    with wave.open(io.BytesIO(recording.data)) as file:
        return file.readframes(file.getnframes())


def seconds(recording: Recording) -> float:
    with wave.open(io.BytesIO(recording.data)) as file:
        return file.getnframes() / file.getframerate()


@pytest.mark.parametrize(
    ("data", "sound_format"),
    [
        (wav(0.1), "wav"),
        (FLAC, "flac"),
        (OGG, "ogg"),
        (MP3, "mp3"),
        (b"\xff\xfb\x90\x44", "mp3"),
        (b"\xff\xf3\x90\x44", "mp3"),
        (b"\xff\xf1\x50\x80", None),  # AAC in ADTS
        (b"\x00\x00\x00\x20ftypM4A ", None),
        (b"\x1a\x45\xdf\xa3", None),  # WebM
        (b"RIFF\x00\x00\x00\x00AVI ", None),
        (b"\xff", None),
    ],
)
def test_the_bytes_tell_the_format(data, sound_format):
    assert sniff(data) == sound_format


def test_the_name_does_not(tmp_path):
    path = tmp_path / "speech.wav"
    path.write_bytes(MP3)
    assert read_recording(path).format == "mp3"


@pytest.mark.parametrize("name", ["absent.wav", "."])
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path, name):
    with pytest.raises(SettingsError) as caught:
        read_recording(tmp_path / name)
    assert str(tmp_path / name) in caught.value.what
    assert caught.value.why
    assert caught.value.fix


def test_an_empty_file_is_refused():
    with pytest.raises(SettingsError, match="is empty"):
        recognise(b"", name="a.wav")


def test_another_format_is_refused_with_the_command_that_converts_it():
    with pytest.raises(SettingsError) as caught:
        recognise(b"\x00\x00\x00\x20ftypM4A ", name="my voice.m4a")
    assert caught.value.fix == "ffmpeg -i 'my voice.m4a' -ac 1 -ar 16000 'my voice.wav'"


def test_a_short_recording_is_sent_as_it_is():
    recording = recognise(wav(25))
    assert list(clips(recording)) == [recording]


def test_a_long_wav_becomes_clips_of_25_seconds():
    assert [seconds(clip) for clip in clips(recognise(wav(60)))] == [25, 25, 10]


def test_a_rest_below_a_second_stays_with_the_clip_before():
    assert [seconds(clip) for clip in clips(recognise(wav(50.5)))] == [25, 25.5]
    assert [seconds(clip) for clip in clips(recognise(wav(51)))] == [25, 25, 1]


def test_cutting_keeps_every_sample_and_the_kind_of_sound():
    recording = recognise(wav(52, channels=2, sample_bytes=3))
    pieces = list(clips(recording))
    assert b"".join(map(samples, pieces)) == samples(recording)
    with wave.open(io.BytesIO(pieces[-1].data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 3, RATE)


def test_what_cannot_be_measured_is_sent_as_it_is_and_said_so():
    odd = [recognise(data) for data in (MP3, FLAC, OGG, float_wav())]
    assert [list(clips(recording)) for recording in odd] == [[recording] for recording in odd]
    assert unmeasured([recognise(wav(1)), *odd]) == odd


@pytest.mark.parametrize("length", [12, 20, 30, 40])
def test_a_wav_that_ends_within_its_header_is_damaged(length):
    with pytest.raises(SettingsError, match="damaged") as caught:
        list(clips(recognise(wav(1)[:length], name="a.wav")))
    assert caught.value.why


def test_a_wav_without_a_sample_rate_is_damaged():
    data = bytearray(wav(1))
    data[24:28] = bytes(4)
    with pytest.raises(SettingsError, match="damaged"):
        list(clips(recognise(bytes(data))))


@pytest.mark.parametrize("data", [wav(0), wav(1)[:44], wav(1)[:45]])
def test_a_wav_without_a_whole_sample_holds_no_sound(data):
    with pytest.raises(SettingsError, match="holds no sound"):
        list(clips(recognise(data)))


def test_a_wav_that_ends_before_its_header_says_is_measured_by_what_is_there():
    recording = recognise(wav(60)[: 44 + 2 * RATE * 3])
    assert list(clips(recording)) == [recording]


def test_a_conversion_never_writes_over_its_source():
    assert as_wav("a b.m4a") == "ffmpeg -i 'a b.m4a' -ac 1 -ar 16000 'a b.wav'"
    assert as_wav("dir/talk.wav").endswith(" talk.16k.wav")
