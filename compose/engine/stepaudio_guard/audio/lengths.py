"""What headers say about how long the sound is: too little, so that libsndfile would cut it short without a word, or
more than there is, so that some was lost."""

from __future__ import annotations

from typing import NamedTuple

_CHUNKS_LOOKED_AT = 64
_UNKNOWN = b"\xff\xff\xff\xff"

_MP3_LENGTH_TAGS = (b"Xing", b"Info", b"VBRI")
_FIRST_MP3_FRAME = 4096
"""Bytes within which the first frame and its table of the length lie; the longest frame has 1441."""

_MOST_BIT_RATES_APART = 64
"""The highest bit rate of an MP3 (320 kbit/s) is 40 times the lowest; 64 is more."""

_LEAST_PLACEHOLDER = 0x7FFF0000
"""Bytes; what is written as a WAV's size where the end is not known yet is this or more: 2 GiB less a header, 4 GiB."""

_LEAST_UNKNOWN = 1 << 40
"""Frames; libsndfile's word for "unknown" is 2^63 - 1, and FLAC can promise 2^36 - 1."""


class Readable(NamedTuple):
    """Bytes as they are given to libsndfile, and how many it is told there are."""

    data: bytes | bytearray
    claimed_size: int


def with_true_length(data: bytes) -> Readable:
    """`data` so that libsndfile reads to the end of the sound.

    A WAV that was never finished (a stream, a recorder that lost power) says that its `data` chunk has 0 bytes: it is
    told to go on to the end. Of an MP3 without a table of its length libsndfile takes the length from the first
    frame's bit rate, and stops there: where the rate varies it is told of a size that makes it go on to the end.
    """
    chunk = _data_chunk(data)
    if chunk is not None and chunk.size == 0:
        mended = bytearray(data)
        mended[chunk.place - 4 : chunk.place] = _UNKNOWN
        return Readable(mended, len(mended))
    if _is_mp3_without_length(data):
        return Readable(data, len(data) * _MOST_BIT_RATES_APART)
    return Readable(data, len(data))


def promised_frames(data: bytes, told: int) -> int:
    """How many frames the header promises, 0 where it promises none; `told` is what libsndfile says.

    Of a WAV that was cut short libsndfile says how many there are.
    """
    if told >= _LEAST_UNKNOWN or _is_mp3_without_length(data):
        return 0
    chunk = _data_chunk(data)
    if chunk is None or not len(data) - chunk.place < chunk.size < _LEAST_PLACEHOLDER:
        return told
    return told * chunk.size // (len(data) - chunk.place)


class _Chunk(NamedTuple):
    """Where the content of a WAV's chunk begins, and the bytes it says it has."""

    place: int
    size: int


def _data_chunk(data: bytes) -> _Chunk | None:
    """The `data` chunk of a WAV, if there is something in it; None otherwise."""
    if data[:4] != b"RIFF":
        return None
    place = 12
    for _ in range(_CHUNKS_LOOKED_AT):
        name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        if name == b"data":
            return _Chunk(place + 8, size) if len(data) > place + 8 else None
        place += 8 + size + size % 2
        if place + 8 > len(data):
            return None
    return None


def _is_mp3_without_length(data: bytes) -> bool:
    begin = 0
    if data[:3] == b"ID3" and len(data) >= 10:
        begin = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
    elif data[0] != 0xFF:
        return False
    head = data[begin : begin + _FIRST_MP3_FRAME]
    return not any(tag in head for tag in _MP3_LENGTH_TAGS)
