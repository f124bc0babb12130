"""Bytes that travel as text: base64, and `data:` URLs."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote_to_bytes

from ..refusal import bad_request

_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_WHITESPACE = b" \t\r\n"
_CHUNK = 1 << 20
"""Characters decoded at a stretch, a multiple of 4: other threads get their turn in between."""

MAX_PERCENT_ENCODED = 1 << 20
"""Characters; reading them costs forty times as much memory."""

_ESCAPES = (("%2B", "+"), ("%2b", "+"), ("%2F", "/"), ("%2f", "/"), ("%3D", "="), ("%3d", "="))
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
    scheme, colon, rest = url.lstrip().partition(":")
    if not colon or scheme.lower() != "data":
        raise _not_fetched(param)
    media_type, comma, data = rest.partition(",")
    if not comma or len(media_type) > 1024:
        raise bad_request(
            "invalid_data_url", f"{param} is not a data: URL; write data:audio/wav;base64,... with the audio.", param
        )
    if media_type.rstrip().lower().endswith(";base64"):
        return decode_base64(_without_escapes(data), param)
    if not data.isascii():
        raise bad_request("invalid_data_url", f"{param} holds characters that no URL has; percent-encode them.", param)
    if len(data) > MAX_PERCENT_ENCODED:
        raise bad_request("invalid_data_url", f"{param} is too long for percent-encoding; send base64.", param)
    return unquote_to_bytes(data)


def decode_base64(text: str, param: str) -> bytes:
    """The bytes of `text`: line breaks, the URL-safe alphabet and missing padding are all right.

    Raises RefusedError for anything else.
    """
    try:
        encoded = text.encode("ascii").rstrip(_WHITESPACE + b"=")
        try:
            return _decode(encoded)
        except binascii.Error:
            return _decode(encoded.translate(_URL_SAFE, _WHITESPACE))
    except (UnicodeEncodeError, binascii.Error):
        raise bad_request("invalid_base64", f"{param} is not base64; encode the file's bytes.", param) from None


def _without_escapes(text: str) -> str:
    if "%" in text:
        for escape, character in _ESCAPES:
            text = text.replace(escape, character)
    return text


def _decode(encoded: bytes) -> bytes:
    """Raises binascii.Error where a character is none of base64's 64, or the length is impossible."""
    if b"=" in encoded:
        raise binascii.Error("padding inside")
    padded = encoded + b"=" * (-len(encoded) % 4)
    if len(padded) <= _CHUNK:
        return base64.b64decode(padded, validate=True)
    chunks = range(0, len(padded), _CHUNK)
    return b"".join(base64.b64decode(padded[start : start + _CHUNK], validate=True) for start in chunks)


def _not_fetched(param: str) -> Exception:
    return bad_request(
        "audio_url_not_fetched",
        f"{param} is an address, and this server fetches nothing; send the audio itself, as a data: URL "
        "(data:audio/wav;base64,...) or as an input_audio part.",
        param,
    )
