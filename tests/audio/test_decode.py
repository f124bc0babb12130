from __future__ import annotations

import itertools
from contextlib import suppress

import numpy as np
import pytest
from recordings import loudness_of, media_file, raw_wav, sound_file, tone

from stepaudio_serve.audio.decode import Limits, decode
from stepaudio_serve.audio.errors import AudioError


def decoded(data: bytes, limits: Limits = Limits()) -> np.ndarray:  # noqa: B008
    return np.concatenate(list(decode(data, limits)))


def reason(data: bytes, limits: Limits = Limits()) -> str:  # noqa: B008
    with pytest.raises(AudioError) as caught:
        decoded(data, limits)
    return caught.value.reason


def stereo(samples: np.ndarray, channels: int = 2) -> np.ndarray:
    return np.stack([samples] * channels, axis=1)


PCM = (tone(16000, 1.0) * 32767).astype("<i2").tobytes()


@pytest.mark.parametrize(
    ("form", "subtype", "rate", "channels"),
    [
        ("WAV", "PCM_16", 16000, 1),
        ("WAV", "PCM_U8", 11025, 1),
        ("WAV", "PCM_24", 192000, 8),
        ("WAV", "FLOAT", 44100, 2),
        ("WAV", "DOUBLE", 48000, 1),
        ("WAV", "ULAW", 8000, 1),
        ("WAV", "IMA_ADPCM", 22050, 1),
        ("RF64", "PCM_16", 44100, 2),
        ("W64", "PCM_16", 16000, 1),
        ("FLAC", "PCM_16", 48000, 2),
        ("OGG", "VORBIS", 44100, 2),
        ("OGG", "OPUS", 48000, 1),
        ("MP3", "MPEG_LAYER_III", 44100, 2),
        ("AIFF", "PCM_16", 22050, 2),
        ("AU", "PCM_16", 32000, 1),
        ("CAF", "PCM_16", 96000, 1),
    ],
)
def test_formats_are_told_by_their_bytes_and_come_out_alike(form: str, subtype: str, rate: int, channels: int) -> None:
    out = decoded(sound_file(stereo(tone(rate, 2.0), channels), rate, form, subtype))
    assert out.dtype == np.float32
    assert len(out) == pytest.approx(32000, rel=0.05)
    assert loudness_of(out, 440) == pytest.approx(0.5, rel=0.1)


def test_channels_are_mixed_to_their_mean() -> None:
    left, right = tone(16000, 1.0), tone(16000, 1.0, 1000)
    out = decoded(sound_file(np.stack([left, right], axis=1), 16000, subtype="FLOAT"))
    assert np.allclose(out, (left + right) / 2, atol=1e-6)


def test_many_channels_are_mixed_too() -> None:
    out = decoded(raw_wav(np.full(96 * 2000, 1000, "<i2").tobytes(), channels=96))
    assert len(out) == 2000
    assert out[0] == pytest.approx(1000 / 32768, rel=1e-3)


def test_samples_beyond_full_scale_stay() -> None:
    assert decoded(sound_file(tone(16000, 1.0, amplitude=1.5), 16000, subtype="FLOAT")).max() == pytest.approx(1.5)


def test_the_largest_floats_stay_finite_through_the_filter() -> None:
    out = decoded(sound_file(np.full(30000, 3.4e38, np.float32), 44100, subtype="FLOAT"))
    assert np.isfinite(out).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(value: float) -> None:
    samples = tone(16000, 3.0)
    samples[40000] = value
    assert reason(sound_file(samples, 16000, subtype="FLOAT")) == "not_finite"


def test_doubles_beyond_floats_are_refused() -> None:
    assert reason(sound_file(np.full(1000, 1e300), 16000, subtype="DOUBLE")) == "not_finite"


@pytest.mark.parametrize("data", [b"", raw_wav(b""), sound_file(np.zeros(0), 16000, "FLAC")])
def test_no_sound_is_empty(data: bytes) -> None:
    assert reason(data) == "empty"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"Hello, world! " * 100, "unreadable"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "unsupported"),
        (b"RIFF\x24\0\0\0WAVE", "unreadable"),
        (b"ID3\x04\0\0\0\0\0\x10" + b"a" * 5000, "unreadable"),
        (media_file("mp4", "aac", tone(44100, 1.0), 44100), "unsupported"),
        (media_file("webm", "libopus", tone(48000, 1.0), 48000), "unsupported"),
        (media_file("adts", "aac", tone(44100, 1.0), 44100), "unsupported"),
    ],
)
def test_what_is_no_readable_sound_file_is_refused_with_a_way_out(data: bytes, expected: str) -> None:
    with pytest.raises(AudioError, match="ffmpeg -i FILE") as caught:
        decoded(data)
    assert caught.value.reason == expected


@pytest.mark.parametrize("rate", [1, 999, 768_001, 2**31 - 1])
def test_rates_of_no_sound_are_unsupported(rate: int) -> None:
    assert reason(raw_wav(PCM, rate=rate)) == "unsupported"


@pytest.mark.parametrize(("rate", "channels"), [(192_000, 9), (16_000, 97), (655_350, 8)])
def test_rates_of_many_channels_are_unsupported(rate: int, channels: int) -> None:
    assert reason(sound_file(np.zeros((1000, channels)), rate)) == "unsupported"


@pytest.mark.parametrize("data_bytes", [0, 0xFFFFFFFF, 0x7FFFFFFF, len(PCM)])
def test_a_streamed_wav_is_read_to_its_end(data_bytes: int) -> None:
    assert len(decoded(raw_wav(PCM, data_bytes=data_bytes))) == 16000


@pytest.mark.parametrize("promised", [0, 1 << 35])
def test_a_flac_that_promises_another_length_is_read_to_its_end(promised: int) -> None:
    data = bytearray(sound_file(tone(16000, 1.0), 16000, "FLAC"))
    info = int.from_bytes(data[18:26], "big")  # STREAMINFO: the last 36 of these bits are the number of samples
    data[18:26] = ((info >> 36 << 36) | promised).to_bytes(8, "big")
    assert len(decoded(bytes(data))) == 16000
    assert bool(heard_of_damage(bytes(data))) is bool(promised)


def test_an_mp3_of_varying_bit_rate_without_a_table_is_read_to_its_end() -> None:
    loud = np.random.default_rng(0).uniform(-0.5, 0.5, 3 * 44100)
    sound = np.concatenate([loud, np.zeros(20 * 44100), loud]).astype(np.float32)
    data = sound_file(sound, 44100, "MP3", "MPEG_LAYER_III")
    data = data.replace(b"Xing", b"none").replace(b"Info", b"none")
    assert len(decoded(data)) == pytest.approx(26 * 16000, rel=0.01)


@pytest.mark.parametrize(
    ("form", "subtype"),
    [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")],
)
def test_of_a_truncated_file_the_sound_that_is_there_is_used(form: str, subtype: str) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 10 * 48000).astype(np.float32)
    data = sound_file(samples, 48000, form, subtype)
    assert len(decoded(data[: len(data) // 2])) == pytest.approx(5 * 16000, rel=0.25)


def test_of_a_damaged_flac_the_sound_before_the_damage_is_used() -> None:
    data = bytearray(sound_file(tone(16000, 10.0), 16000, "FLAC"))
    middle = len(data) // 2
    data[middle : middle + 500] = bytes(500)
    assert 3 * 16000 < len(decoded(bytes(data))) < 6 * 16000


def heard_of_damage(data: bytes) -> list[float]:
    seconds: list[float] = []
    decoded_to_the_end = list(decode(data, Limits(), on_damage=seconds.append))
    assert decoded_to_the_end
    return seconds


NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 10 * 48000).astype(np.float32)


@pytest.mark.parametrize(
    ("form", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS")]
)
def test_sound_missing_at_the_end_is_told_and_a_whole_file_is_not(form: str, subtype: str) -> None:
    data = sound_file(NOISE, 48000, form, subtype)
    assert heard_of_damage(data) == []
    if form != "OGG":
        (second,) = heard_of_damage(data[: len(data) // 2])
        assert second == pytest.approx(5, abs=0.4)


@pytest.mark.parametrize("data_bytes", [0, 0xFFFFFFFF, 0x7FFFFFFF, len(PCM), len(PCM) + 44])
def test_a_wav_that_promises_nothing_misses_nothing(data_bytes: int) -> None:
    assert heard_of_damage(raw_wav(PCM, data_bytes=data_bytes)) == []


def test_nor_does_an_mp3_without_a_table_of_its_length() -> None:
    data = sound_file(NOISE, 48000, "MP3", "MPEG_LAYER_III")
    assert heard_of_damage(data.replace(b"Xing", b"none").replace(b"Info", b"none")) == []


def test_sound_missing_after_damage_is_told() -> None:
    data = bytearray(sound_file(NOISE, 48000, "FLAC"))
    data[len(data) // 4 : len(data) // 4 + 50] = bytes(50)
    (second,) = heard_of_damage(bytes(data))
    assert 2 < second < 3


def test_the_limit_of_seconds_counts_what_comes_out() -> None:
    data = sound_file(tone(48000, 2.0), 48000)
    assert len(decoded(data, Limits(seconds=2.0))) == 32000
    assert reason(data, Limits(seconds=1.99)) == "too_long"


def test_a_small_file_that_unfolds_is_stopped_on_the_way() -> None:
    bomb = sound_file(np.zeros(16000 * 3600, np.int16), 16000, "FLAC")
    assert len(bomb) < 300_000
    made: list[int] = []
    with pytest.raises(AudioError, match="longer than the 60 seconds"):
        made.extend(len(block) for block in decode(bomb, Limits(seconds=60)))
    assert sum(made) <= 60 * 16000


def test_decoding_stops_when_the_work_takes_too_long() -> None:
    ticks = itertools.count()
    data = sound_file(tone(16000, 60.0), 16000, "FLAC")
    with pytest.raises(AudioError) as caught:
        list(decode(data, Limits(work_seconds=50), clock=lambda: float(next(ticks))))
    assert caught.value.reason == "too_slow"


class Clock:
    """Moves on by `step` seconds each time that it is looked at."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return self.looks * self.step


def made_with_work(seconds: float, limit: float) -> float:
    """The seconds of a minute of sound that come out where all of it takes `seconds` of work."""
    data = sound_file(NOISE, 8000, "FLAC")
    clock = Clock(0)
    pauses = sum(1 for _ in decode(data, Limits(work_seconds=limit), clock=clock))
    step = seconds / (clock.looks - pauses)
    made = 0
    with suppress(AudioError):
        for block in decode(data, Limits(work_seconds=limit), clock=Clock(step)):
            made += len(block)
    return made / 16000


def test_the_work_may_take_a_quarter_of_what_the_sound_lasts() -> None:
    assert made_with_work(17, limit=1000) == 60
    assert 5 < made_with_work(30, limit=1000) < 40


def test_but_never_more_than_the_limit() -> None:
    assert made_with_work(17, limit=20) == 60
    assert made_with_work(17, limit=15) < 60


def test_the_time_of_the_consumer_is_not_work() -> None:
    time = [0.0]
    made = 0
    for block in decode(sound_file(tone(16000, 60.0), 16000), Limits(work_seconds=1), clock=lambda: time[0]):
        made += len(block)
        time[0] += 10
    assert made == 60 * 16000


def test_nothing_is_said_on_the_terminal_about_garbage(capfd: pytest.CaptureFixture[str]) -> None:
    for form, subtype in (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")):
        data = bytearray(sound_file(tone(16000, 10.0), 16000, form, subtype))
        data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
        with suppress(AudioError):
            decoded(bytes(data))
    assert capfd.readouterr() == ("", "")
