"""What a file is, by its first bytes.

libsndfile knows many more formats than people send, some by file name alone, some by a few weak bytes. Only those
in the list get as far as its parsers.
"""

from __future__ import annotations

W64_RIFF = bytes.fromhex("72696666 2e91cf11 a5d628db 04c10000")
"""Sony Wave64 begins with this GUID instead of `RIFF`."""


def is_readable(data: bytes) -> bool:
    """Whether `data` begins as a file that `decode` reads: WAV, FLAC, Ogg, MP3, AIFF, AU or CAF."""
    return (
        (data[:4] in {b"RIFF", b"RIFX", b"RF64"} and data[8:12] == b"WAVE")
        or data[:16] == W64_RIFF
        or data[:4] in {b"fLaC", b"OggS", b".snd", b"dns.", b"caff"}
        or (data[:4] == b"FORM" and data[8:12] in {b"AIFF", b"AIFC"})
        or data[:3] == b"ID3"
        or _begins_with_mp3_frame(data)
    )


def foreign_kind(data: bytes) -> str | None:
    """The name of something else that people send; None where the bytes say nothing."""
    if data[4:8] == b"ftyp":
        return "an MP4 or M4A file"
    if data[:4] == b"RIFF" and data[8:12] == b"AVI ":
        return "an AVI video"
    if data[:6] == b"#!AMR\n" or data[:9] == b"#!AMR-WB\n":
        return "an AMR recording"
    for magic, name in _FOREIGN:
        if data.startswith(magic):
            return name
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0:
        return "an AAC stream"
    return None


_FOREIGN = (
    (b"\x1a\x45\xdf\xa3", "a WebM or Matroska file"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a WMA or WMV file"),
    (b"FLV", "a Flash video"),
    (b"wvpk", "a WavPack file"),
    (b"MAC ", "a Monkey's Audio file"),
    (b"DSD ", "a DSD file"),
    (b"MThd", "a MIDI file"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
)


def _begins_with_mp3_frame(data: bytes) -> bool:
    """Eleven set bits, then a version and a layer that exist (ISO 11172-3, 2.4.1.3); layer 0 would be AAC (ADTS)."""
    return len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0 and data[1] & 0x06 != 0
