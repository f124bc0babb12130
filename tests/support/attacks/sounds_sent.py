"""Clips that no engine should have to hear, and odd ones that a person may well have."""

from __future__ import annotations

import base64
import math
import os

from support import sounds
from support.sounds import RATE, long_file, riff

from .attack import Attack, audio_url, input_audio, parts, sound, text

SAFE_SAMPLES = 479_680
"""The longest clip that Step-Audio's encoder survives, 29.98 s; one sample more ends the engine."""

PCM_SECOND = sounds.tone(sounds.LOW, 1.0)
RAW_SECOND = (PCM_SECOND * 32767).astype("<i2").tobytes()


def samples(count: int) -> bytes:
    return sounds.encode(sounds.tone(sounds.LOW, 31.0)[:count])


def data_url(data: bytes, kind: str = "audio/wav") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def ends_early(data: bytes, share: float = 0.5) -> bytes:
    return data[: int(len(data) * share)]


LENGTHS = (
    sound("0 samples", lambda: samples(0), 400),
    sound("1 sample", lambda: samples(1), 200, 400),
    sound("479,680 samples", lambda: samples(SAFE_SAMPLES), 200),
    sound("479,681 samples", lambda: samples(SAFE_SAMPLES + 1), 200),
    sound("30.0 s", lambda: samples(30 * RATE), 200),
    sound("60 s", lambda: long_file("FLAC", "PCM_16", 1, loud=True), 200),
    sound("10 minutes", lambda: long_file("FLAC", "PCM_16", 10, loud=True), 200),
    sound("10 minutes as MP3", lambda: long_file("MP3", "MPEG_LAYER_III", 10, loud=True), 200),
    sound("3 hours", lambda: long_file("FLAC", "PCM_16", 180), 400, said="long"),
    sound("3 hours of u-law", lambda: long_file("WAV", "ULAW", 180, rate=2000), 400, said="long"),
)

FORMATS = tuple(
    sound(name, lambda name=name: sounds.odd(name), 200, heard="low tone")  # type: ignore[misc]
    for name in sounds.ODD_FORMATS
)

LIES = (
    sound("NaN", lambda: sounds.float_wav(math.nan), 400, said="finite"),
    sound("infinity", lambda: sounds.float_wav(math.inf, -math.inf), 400, said="finite"),
    sound("floats of 1e38", lambda: sounds.float_wav(1e38, -1e38), 200, 400),
    sound("NaN in the 31st second", lambda: sounds.float_wav(math.nan, seconds=62.0), 400, said="finite"),
    sound("1 bit a sample", lambda: riff(RAW_SECOND, bits=1), 200, 400),
    sound("truncated WAV", lambda: ends_early(sounds.wav()), 200, 400),
    sound("truncated FLAC", lambda: ends_early(sounds.odd("FLAC")), 200, 400),
    sound("truncated MP3", lambda: ends_early(sounds.odd("MP3")), 200, 400),
    sound("truncated OGG", lambda: ends_early(sounds.odd("OGG Vorbis")), 200, 400),
    sound("header alone", lambda: sounds.wav()[:44], 400),
    sound("half a header", lambda: sounds.wav()[:20], 400),
    sound("data size 0", lambda: riff(RAW_SECOND, data_size=0), 200, 400),
    sound("data size 0xFFFFFFFF", lambda: riff(RAW_SECOND, data_size=0xFFFFFFFF, riff_size=0xFFFFFFFF), 200, 400),
    sound("RIFF size 0", lambda: riff(RAW_SECOND, riff_size=0), 200, 400),
    sound("bad RIFF mark", lambda: b"RIFX" + sounds.wav()[4:], 200, 400),
    sound("rate 0", lambda: riff(RAW_SECOND, rate=0), 400),
    sound("rate 1 Hz", lambda: riff(RAW_SECOND, rate=1), 400),
    sound("rate 2^31", lambda: riff(RAW_SECOND, rate=1 << 31), 400),
    sound("rate 2^31 - 1", lambda: riff(RAW_SECOND, rate=(1 << 31) - 1), 400),
    sound("0 channels", lambda: riff(RAW_SECOND, channels=0), 400),
    sound("1024 channels", lambda: riff(RAW_SECOND * 8, channels=1024), 200, 400),
    sound("65,535 channels", lambda: riff(RAW_SECOND * 8, channels=65535), 400),
    sound("0 bits a sample", lambda: riff(RAW_SECOND, bits=0), 200, 400),
    sound("MP3 named wav", lambda: sounds.odd("MP3"), 200),
    sound("WAV named mp3", sounds.wav, 200, form="mp3"),
    sound("FLAC named flac", lambda: sounds.odd("FLAC"), 200, form="flac"),
    sound("OGG named ogg", lambda: sounds.odd("OGG Opus"), 200, form="ogg"),
)

BOMBS = (
    sound("FLAC bomb: 3 h of silence in half a MB", lambda: long_file("FLAC", "PCM_16", 180), 400, said="long"),
    sound("OGG bomb: 1 h of silence in 240 KB", lambda: long_file("OGG", "VORBIS", 60, rate=8000), 400, said="long"),
    sound("OGG bomb, chained 20 times", lambda: long_file("OGG", "VORBIS", 60, rate=8000) * 20, 400, said="long"),
    sound(
        "FLAC bomb: 1 minute, 192 kHz, 8 channels: 92 MB of samples in 100 KB",
        lambda: long_file("FLAC", "PCM_16", 1, rate=192000, channels=8),
        200,
        400,
    ),
)

NO_SOUND = (
    sound("a film (mp4)", sounds.movie, 400),
    sound("a film (webm's cousin, mkv)", lambda: sounds.movie(form="matroska"), 400),
    sound("a text file", lambda: b"This is no sound.\n" * 100, 400),
    sound("a JSON file", lambda: b'{"sound": true}', 400),
    sound("random bytes", lambda: os.urandom(50_000), 400),
    sound("zero bytes (NUL)", lambda: bytes(50_000), 400),
    sound("an empty file", bytes, 400),
    parts("no base64", lambda: [{"type": "input_audio", "input_audio": {"data": "!!!!", "format": "wav"}}], 400),
    parts("half base64", lambda: [{"type": "input_audio", "input_audio": {"data": "UklGR", "format": "wav"}}], 400),
    parts("data is a number", lambda: [{"type": "input_audio", "input_audio": {"data": 7, "format": "wav"}}], 400),
    parts("data is a list", lambda: [{"type": "input_audio", "input_audio": {"data": ["UklG"]}}], 400),
    parts("no data", lambda: [{"type": "input_audio", "input_audio": {}}], 400),
    parts("an input_audio that is null", lambda: [{"type": "input_audio", "input_audio": None}], 400),
    parts("data: URL", lambda: [audio_url(data_url(sounds.wav())), text("What do you hear?")], 200),
    parts("data: URL without base64", lambda: [audio_url("data:audio/wav,RIFF"), text("?")], 400),
    parts("data: URL of a text", lambda: [audio_url(data_url(b"hello", "text/plain")), text("?")], 400),
    parts("data: URL with nothing", lambda: [audio_url("data:,"), text("?")], 400),
)

TINY = sounds.encode(sounds.tone(sounds.LOW, 0.1))
LONG = sounds.encode(sounds.tone(sounds.LOW, 24.0))

MANY = (
    parts("200 clips", lambda: [*[input_audio(TINY)] * 200, text("What do you hear?")], 400, said="clips"),
    parts("200 tiny clips and a long one", lambda: [*[input_audio(TINY)] * 200, input_audio(LONG), text("?")], 400),
    parts(
        "60 tiny clips and a long one, padded to it",
        lambda: [*[input_audio(TINY)] * 60, input_audio(LONG), text("?")],
        400,
    ),
    parts("40 tiny clips", lambda: [*[input_audio(TINY)] * 40, text("What do you hear?")], 200),
)

SOUNDS: tuple[Attack, ...] = (*LENGTHS, *FORMATS, *LIES, *BOMBS, *NO_SOUND, *MANY)
