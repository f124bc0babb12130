"""Bytes that travel as text: base64, and `data:` URLs."""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from ..refusal import bad_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_WHITESPACE = b" \t\r\n"
_CHUNK = 1 << 20
"""Characters decoded at a stretch: other threads get their turn in between."""

_LONGEST_MEDIA_TYPE = 1024

MAX_PERCENT_ENCODED = 1 << 16
"""Characters; reading them costs forty times as much memory."""

_ESCAPES = ((b"%2B", b"+"), (b"%2b", b"+"), (b"%2F", b"/"), (b"%2f", b"/"), (b"%3D", b"="), (b"%3d", b"="))
"""What a URL-encoder makes of base64."""


def decode_audio(text: str, param: str) -> bytes:
    """What `text` holds: base64, or a `data:` URL of any media type.

    Raises RefusedError, naming `param`, where it is neither, or a URL that would have to be fetched.
    """
    head = text[:16].lstrip().lower()
    if head.startswith("data:"):
        return decode_data_url(text, param)
    if head.startswith(("http:", "https:", "file:", "ftp:")):
        raise _not_fetched(param)
    return decode_base64(text, param)


def decode_data_url(url: str, param: str) -> bytes:
    """The bytes of a `data:` URL (RFC 2397), base64 or percent-encoded. Raises RefusedError."""
    scheme, colon, _ = url[:16].lstrip().partition(":")
    if not colon or scheme.lower() != "data":
        raise _not_fetched(param)
    begin = url.index(":") + 1
    media_type, comma, _ = url[begin : begin + _LONGEST_MEDIA_TYPE + 1].partition(",")
    if not comma:
        raise bad_request(
            "invalid_data_url", f"{param} is not a data: URL; write data:audio/wav;base64,... with the audio.", param
        )
    if media_type.rstrip().lower().endswith(";base64"):
        return decode_base64(url, param, start=begin + len(media_type) + 1, escaped=True)
    if not url.isascii():
        raise bad_request("invalid_data_url", f"{param} holds characters that no URL has; percent-encode them.", param)
    if len(url) > MAX_PERCENT_ENCODED:
        raise bad_request("invalid_data_url", f"{param} is too long for percent-encoding; send base64.", param)
    return unquote_to_bytes(url[begin + len(media_type) + 1 :])


def decode_base64(text: str, param: str, *, start: int = 0, escaped: bool = False) -> bytes:
    """The bytes of `text` from `start` on: line breaks, the URL-safe alphabet and missing padding are all right.

    `escaped` text may also be percent-encoded. Raises RefusedError for anything else.
    """
    if len(text) - start <= _CHUNK * 2:
        with suppress(ValueError):  # as nearly all send it: plain, and whole
            return base64.b64decode(text[start:], validate=True)
    try:
        return b"".join(_decoded(_plain(text, start, escaped=escaped)))
    except (UnicodeEncodeError, binascii.Error):
        raise bad_request("invalid_base64", f"{param} is not base64; encode the file's bytes.", param) from None


def _plain(text: str, start: int, *, escaped: bool) -> Iterator[bytes]:
    """`text` in base64's own alphabet, a chunk at a time; no escape is cut in two."""
    while start < len(text):
        end = start + _CHUNK
        if escaped and (mark := text.rfind("%", end - 2, end)) > start:
            end = mark
        chunk = text[start:end].encode("ascii")
        if escaped and b"%" in chunk:
            for escape, character in _ESCAPES:
                chunk = chunk.replace(escape, character)
        yield chunk.translate(_URL_SAFE, _WHITESPACE)
        start = end


def _decoded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Raises binascii.Error where a character is none of base64's 64, or the length is impossible."""
    rest, ended = b"", False
    for chunk in chunks:
        data, padding, after = chunk.partition(b"=")
        if (ended and data) or after.strip(b"="):
            raise binascii.Error("padding inside")
        ended = ended or bool(padding)
        rest += data
        whole = len(rest) - len(rest) % 4
        yield base64.b64decode(rest[:whole], validate=True)
        rest = rest[whole:]
    yield base64.b64decode(rest + b"=" * (-len(rest) % 4), validate=True)


def _not_fetched(param: str) -> Exception:
    return bad_request(
        "audio_url_not_fetched",
        f"{param} is an address, and this server fetches nothing; send the audio itself, as a data: URL "
        "(data:audio/wav;base64,...) or as an input_audio part.",
        param,
    )
