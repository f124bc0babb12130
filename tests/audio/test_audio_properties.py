"""Whatever comes in: sound comes out, or AudioError."""

from __future__ import annotations

import io
from contextlib import suppress

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import media_file, raw_wav, sound_file, tone

from stepaudio_serve.audio.decode import Limits, decode
from stepaudio_serve.audio.errors import AudioError
from stepaudio_serve.audio.media import decode_media

LIMITS = Limits(seconds=30, work_seconds=20)

WHOLE = [
    sound_file(tone(rate, 0.5), rate, form, subtype)
    for form, subtype, rate in (
        ("WAV", "PCM_16", 16000),
        ("WAV", "FLOAT", 44100),
        ("WAV", "MS_ADPCM", 8000),
        ("FLAC", "PCM_16", 44100),
        ("OGG", "VORBIS", 22050),
        ("OGG", "OPUS", 48000),
        ("MP3", "MPEG_LAYER_III", 24000),
        ("AIFF", "PCM_24", 22050),
        ("AU", "PCM_16", 16000),
        ("CAF", "ALAC_16", 16000),
        ("W64", "PCM_16", 16000),
    )
]
MEDIA = [
    media_file("mp4", "aac", tone(44100, 0.5), 44100),
    media_file("webm", "libopus", tone(48000, 0.5), 48000),
    media_file("mp3", "libmp3lame", tone(44100, 0.5), 44100),
    media_file("mpegts", "aac", tone(44100, 0.5), 44100),
]
MAGIC = [
    b"RIFF\xff\xff\xff\xffWAVEfmt ",
    b"fLaC",
    b"OggS",
    b"ID3",
    b"\xff\xfb\x90",
    b"FORM\0\0\0\0AIFF",
    b".snd",
    b"caff",
]

mutations = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), max_size=6)


def mutated(data: bytes, changes: list[tuple[float, bytes]], keep: float) -> bytes:
    changed = bytearray(data)
    for place, new in changes:
        start = int(place**2 * len(data))  # headers, at the beginning, are where it matters
        changed[start : start + len(new)] = new
    return bytes(changed[: int(keep * len(changed))])


def consume(data: bytes) -> None:
    with suppress(AudioError):
        for block in decode(data, LIMITS):
            assert block.dtype == np.float32
            assert np.isfinite(block).all()


@settings(deadline=None, max_examples=200)
@given(magic=st.sampled_from([b"", *MAGIC]), rest=st.binary(max_size=2000))
def test_any_bytes(magic: bytes, rest: bytes) -> None:
    consume(magic + rest)


@settings(deadline=None, max_examples=200)
@given(data=st.sampled_from(WHOLE), changes=mutations, keep=st.floats(0.1, 1))
def test_damaged_sound_files(data: bytes, changes: list[tuple[float, bytes]], keep: float) -> None:
    consume(mutated(data, changes, keep))


@settings(deadline=None, max_examples=100)
@given(data=st.sampled_from(MEDIA + WHOLE), changes=mutations, keep=st.floats(0.1, 1))
def test_damaged_media_files(data: bytes, changes: list[tuple[float, bytes]], keep: float) -> None:
    with suppress(AudioError):
        for block in decode_media(io.BytesIO(mutated(data, changes, keep)), on_damage=lambda second: None):
            assert np.isfinite(block).all()


@settings(deadline=None, max_examples=100)
@given(
    rate=st.integers(0, 2**32 - 1),
    channels=st.integers(0, 300),
    bits=st.sampled_from([0, 1, 8, 16, 24, 32, 64]),
    tag=st.sampled_from([0, 1, 2, 3, 6, 7, 0x11, 0x50, 0x55, 0xFF, 0xFFFE]),
)
def test_wav_headers_that_say_impossible_things(rate: int, channels: int, bits: int, tag: int) -> None:
    data = raw_wav(bytes(range(256)) * 20, rate=rate, channels=channels, bits=bits, tag=tag)
    with suppress(AudioError):
        for block in decode_media(io.BytesIO(data), on_damage=lambda second: None):
            assert np.isfinite(block).all()
