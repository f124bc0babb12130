from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from recordings import loudness_of, media_file, raw_wav, sound_file, tone

from stepaudio_serve.audio.errors import AudioError
from stepaudio_serve.audio.media import decode_media, probe


def decoded(source: Path | bytes) -> np.ndarray:
    return np.concatenate(list(decode_media(io.BytesIO(source) if isinstance(source, bytes) else source)))


def problem(data: bytes) -> AudioError:
    with pytest.raises(AudioError) as caught:
        decoded(data)
    return caught.value


FORMS = [
    ("wav", "pcm_s16le", 44100, "stereo"),
    ("wav", "pcm_f32le", 48000, "stereo"),
    ("mp3", "libmp3lame", 44100, "stereo"),
    ("mp4", "aac", 44100, "stereo"),
    ("webm", "libopus", 48000, "stereo"),
    ("ogg", "libopus", 48000, "mono"),
    ("flac", "flac", 44100, "stereo"),
    ("aiff", "pcm_s16be", 22050, "mono"),
    ("adts", "aac", 44100, "mono"),
    ("mpegts", "aac", 48000, "stereo"),
    ("matroska", "flac", 48000, "5.1"),
]


@pytest.mark.parametrize(("container", "codec", "rate", "layout"), FORMS)
def test_any_common_file_becomes_16_khz_mono(container: str, codec: str, rate: int, layout: str) -> None:
    data = media_file(container, codec, tone(rate, 3.0), rate, layout)
    out = decoded(data)
    assert out.dtype == np.float32
    assert len(out) == pytest.approx(48000, rel=0.02)
    assert loudness_of(out, 440) == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize(("container", "codec", "rate", "layout"), FORMS)
def test_a_file_says_its_length_without_being_decoded(container: str, codec: str, rate: int, layout: str) -> None:
    info = probe(io.BytesIO(media_file(container, codec, tone(rate, 3.0), rate, layout)))
    assert info.seconds == pytest.approx(3.0, abs=0.1)
    assert (info.rate, container[:3] in {"adt", "mp4", "mpe"} or container[:3] in info.format) == (rate, True)


def test_the_sound_of_a_video_is_heard() -> None:
    assert loudness_of(decoded(media_file("mp4", "aac", tone(44100, 2.0), 44100, video=True)), 440) > 0.4


def test_a_mix_of_loudspeakers_stays_within_full_scale() -> None:
    data = media_file("wav", "pcm_f32le", tone(48000, 1.0, amplitude=1.0), 48000, "5.1")
    assert np.abs(decoded(data)).max() <= 1.01


def test_many_loudspeakers_without_places_are_mixed_alike() -> None:
    samples = np.stack([tone(16000, 1.0)] + [np.zeros(16000, np.float32)] * 11, axis=1)
    assert loudness_of(decoded(sound_file(samples, 16000)), 440) == pytest.approx(0.5 / 12, rel=0.05)


def test_a_path_is_read_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    path.write_bytes(media_file("mp3", "libmp3lame", tone(44100, 1.0), 44100))
    assert loudness_of(decoded(path), 440) > 0.4


def test_a_missing_file_is_told_by_the_system() -> None:
    with pytest.raises(FileNotFoundError):
        decoded(Path("no/such/file.wav"))


def test_a_pipe_is_read_even_where_the_index_comes_last() -> None:
    data = media_file("mp4", "aac", tone(44100, 2.0), 44100)
    assert data.rindex(b"moov") > data.rindex(b"mdat")
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(reading, "rb") as pipe:
        out = np.concatenate(list(decode_media(pipe)))
    writer.join()
    assert np.array_equal(out, decoded(data))


@pytest.mark.parametrize("data", [b"", b"Hello, world! " * 1000, b"\x89PNG\r\n\x1a\n" + bytes(1000), bytes(100_000)])
def test_what_is_no_media_is_refused(data: bytes) -> None:
    assert problem(data).reason == "unreadable"


def test_a_video_without_sound_is_refused_in_plain_words() -> None:
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        picture = output.add_stream("mpeg4", rate=5, width=32, height=32, pix_fmt="yuv420p")
        output.mux(picture.encode(av.VideoFrame(32, 32, "yuv420p")))
        output.mux(picture.encode(None))
    error = problem(file.getvalue())
    assert error.reason == "unsupported"
    assert str(error) == "There is no sound in it, only video."


def test_no_samples_are_empty() -> None:
    assert problem(raw_wav(b"")).reason == "empty"


def test_samples_that_are_no_numbers_are_refused() -> None:
    samples = tone(16000, 1.0)
    samples[8000] = np.nan
    assert problem(sound_file(samples, 16000, subtype="FLOAT")).reason == "not_finite"


def test_files_that_name_other_files_do_not_make_it_read_them(tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(sound_file(tone(16000, 1.0), 16000))
    lists = (
        f"ffconcat version 1.0\nfile '{secret}'\n",
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        f"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/{secret.name}\n",
        f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{secret}</BaseURL></MPD>',
    )
    for text in lists:
        path = tmp_path / "list.m3u8"
        path.write_text(text)
        with pytest.raises(AudioError):
            decoded(path)


def damaged_mp3() -> bytes:
    data = bytearray(media_file("mp3", "libmp3lame", tone(44100, 10.0), 44100))
    for place in range(len(data) // 2, len(data) // 2 + 4000):
        data[place] ^= 0x5A
    return bytes(data)


def test_damage_is_skipped_and_its_place_told() -> None:
    places: list[float] = []
    out = np.concatenate(list(decode_media(io.BytesIO(damaged_mp3()), on_damage=places.append)))
    assert places
    assert all(4 < place < 7 for place in places)
    assert len(out) > 8 * 16000


def test_damage_that_nobody_asks_to_be_told_is_an_error() -> None:
    assert problem(damaged_mp3()).reason == "unreadable"


def test_a_file_that_breaks_off_before_its_promised_length_is_told() -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 441000).astype(np.float32)
    data = media_file("flac", "flac", noise, 44100)
    places: list[float] = []
    list(decode_media(io.BytesIO(data[: len(data) // 2]), on_damage=places.append))
    assert places[-1] == pytest.approx(5.0, abs=0.5)


def test_sound_in_an_unknown_format_is_refused_before_it_is_decoded() -> None:
    data = raw_wav(b"\1\2" * 1600, tag=0x9999)
    for read in (probe, lambda file: list(decode_media(file))):
        with pytest.raises(AudioError, match="format that FFmpeg does not know") as raised:
            read(io.BytesIO(data))
        assert raised.value.reason == "unsupported"


def test_more_channels_than_can_be_mixed_are_refused() -> None:
    assert len(decoded(raw_wav(bytes(64 * 3200), channels=64))) == 1600
    with pytest.raises(AudioError, match="243 channels") as raised:
        decoded(raw_wav(bytes(243 * 3200), channels=243))
    assert raised.value.reason == "unsupported"


def test_a_track_that_begins_late_takes_nothing_from_the_first() -> None:
    data = bytearray(media_file("mpegts", "aac", tone(44100, 2.0), 44100))
    begins = [place for place in range(0, len(data), 188) if data[place + 1 : place + 3] == b"\x41\x00"]
    data[begins[len(begins) // 2] + 2] = 0x41  # a packet of another track
    out = np.concatenate(list(decode_media(io.BytesIO(bytes(data)), on_damage=lambda second: None)))
    assert len(out) > 1.5 * 16000
