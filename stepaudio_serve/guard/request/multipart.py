"""A multipart/form-data body (RFC 7578) split into its parts, binary exact and bounded."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from typing import TYPE_CHECKING

from ..refusal import bad_request

if TYPE_CHECKING:
    from ..refusal import RefusedError

MAX_PARTS = 32
MAX_HEADER_BYTES = 2048
"""Of one part; a file's name of 255 bytes, percent-encoded, fits twice."""

MAX_PARAMETERS = 16
"""Semicolons in the headers of one part: the standard library takes time with the square of their number."""


_MAX_PADDING = 64
"""Spaces and tabs after a boundary; RFC 2046 allows them for mail gateways that add some."""


_STRETCH = 1 << 20
"""Bytes looked through at a time."""


@dataclass(frozen=True, slots=True)
class FormPart:
    """One field of the form; `is_file` where it came with a file name."""

    name: str
    data: bytes
    is_file: bool


def read_boundary(content_type: str) -> bytes:
    """The boundary in a Content-Type header (RFC 2046: 1 to 70 characters). Raises RefusedError."""
    header = Message()
    header["content-type"] = content_type if _is_simple(content_type.encode()) else ""
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise bad_request(
            "unsupported_media_type",
            "This route takes multipart/form-data with a boundary, as OpenAI's clients send it.",
            "content-type",
            status=415,
        )
    if not (boundary.isascii() and 0 < len(boundary) <= 70):
        raise _malformed("the boundary must have 1 to 70 ASCII characters")
    return boundary.encode()


def split_form(body: bytes, boundary: bytes) -> list[FormPart]:
    """The parts of `body` in order. Raises RefusedError where it is not such a form, or has too many parts."""
    delimiter = b"\r\n--" + boundary
    start = 0 if body.startswith(delimiter[2:]) else _find(body, delimiter, 0) + 2
    if start == 1:
        raise _malformed("its boundary does not occur")
    start += len(delimiter) - 2
    parts: list[FormPart] = []
    while True:
        mark, start = _after_delimiter(body, start)
        if mark == b"--":
            return parts
        end = _find(body, delimiter, start - 2)
        if end < 0:
            raise _malformed("it ends in the middle of a part")
        parts.append(_read_part(body, start, end))
        if len(parts) > MAX_PARTS:
            raise _malformed(f"it has more than {MAX_PARTS} parts")
        start = end + len(delimiter)


def _find(body: bytes, delimiter: bytes, start: int) -> int:
    """Where `delimiter` is from `start` on, or -1; other threads get their turn in between."""
    for place in range(start, len(body), _STRETCH):
        found = body.find(delimiter, place, place + _STRETCH + len(delimiter) - 1)
        if found >= 0:
            return found
    return -1


def _after_delimiter(body: bytes, start: int) -> tuple[bytes, int]:
    """The two bytes that end a boundary's line, `--` for the last one, and where the part begins."""
    rest = body[start : start + _MAX_PADDING + 2].lstrip(b" \t")
    start += min(len(body) - start, _MAX_PADDING + 2) - len(rest)
    mark = rest[:2]
    if mark not in {b"--", b"\r\n"}:
        raise _malformed("a boundary does not end its line")
    return mark, start + 2


def _read_part(body: bytes, start: int, end: int) -> FormPart:
    blank = body.find(b"\r\n\r\n", start, min(end, start + MAX_HEADER_BYTES))
    if blank < 0 or not _is_simple(body[start:blank]):
        raise _malformed("a part has no headers, or too long ones")
    try:
        headers = HeaderParser().parsestr(body[start : blank + 2].decode())
    except UnicodeDecodeError:
        raise _malformed("a part's headers are not UTF-8") from None
    name = headers.get_param("name", header="content-disposition")
    if headers.get_content_disposition() != "form-data" or not isinstance(name, str):
        raise _malformed("a part has no name")
    if headers.get("content-transfer-encoding", "binary").strip().lower() not in {"binary", "8bit", "7bit"}:
        raise _malformed(f"the part {name[:64]!r} is encoded; send its bytes as they are")
    file_name = headers.get_param("filename", header="content-disposition")
    return FormPart(name, body[blank + 4 : end], file_name is not None)


def _is_simple(header: bytes) -> bool:
    return len(header) <= MAX_HEADER_BYTES and header.count(b";") <= MAX_PARAMETERS


def _malformed(why: str) -> RefusedError:
    return bad_request("invalid_form", f"The request body cannot be read as multipart/form-data: {why}.")
