"""A request body read as JSON, strictly: what parsers disagree on, or cannot bear, is refused.

`json` alone takes NaN, reads 1e999 as infinity, keeps the last of two equal keys, guesses UTF-16 and passes lone
surrogates on; the engine would trip over each of them later.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from ..refusal import bad_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..refusal import RefusedError

MAX_DEPTH = 64
"""Levels of nesting. OpenAI's deepest ordinary request, a tool's schema, takes a dozen."""

MAX_VALUES = 50_000
"""Commas and brackets beyond those that text may hold: every value costs some 60 bytes of memory once it is read."""

_MAX_ESCAPES_PER_CHARACTER = 4
"""`\\u0041` escapes for each character that text may have: two make the rarest characters, and what a client sends
along without it being text for the model (its former thinking) may be as much again. Base64 needs none."""

_STRETCH = 1 << 20
"""Bytes looked through at a time: other threads get their turn in between."""

_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**64 - 1
_STRUCTURE = (b"{", b"[", b",")


def parse_object(body: bytes, *, text_characters: int, param: str | None = None) -> dict[str, Any]:
    """The JSON object in `body`, of which at most `text_characters` may be text with commas in it.

    Raises RefusedError, naming `param`, for everything else.
    """
    if not _is_bounded(body, MAX_VALUES + text_characters):
        raise _not_json("it holds more values than any request needs", param)
    if len(body) > _STRETCH and _escapes(body) > _MAX_ESCAPES_PER_CHARACTER * text_characters:
        raise _not_json("it holds more \\u escapes than any text needs; write audio as plain base64", param)
    try:
        value = json.loads(
            body.decode(),
            parse_constant=_refuse_constant,
            parse_float=finite,
            parse_int=_integer,
            object_pairs_hook=_without_duplicates,
        )
    except UnicodeDecodeError:
        raise _not_json("it is not UTF-8", param) from None
    except RecursionError:
        raise _too_deep(param) from None
    except ValueError as error:
        raise _not_json(str(error), param) from None
    if not isinstance(value, dict):
        raise _not_json(f"it must be an object, not {describe(value)}", param)
    _check(value, param)
    return value


def describe(value: object) -> str:
    """What kind of JSON `value` is, in words."""
    if value is None:
        return "null"
    kinds: Mapping[type, str] = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "an object",
    }
    return kinds[type(value)]


def finite(text: str) -> float:
    """The number that `text` writes. Raises ValueError where it is none, or beyond all bounds."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:32]} is too large a number")
    return number


def _is_bounded(body: bytes, most: int) -> bool:
    """Whether at most `most` values can be in `body`: looked at before anything is built from it."""
    return len(body) <= most or sum(_count(body, mark, most) for mark in _STRUCTURE) <= most


def _count(body: bytes, mark: bytes, most: int) -> int:
    """How often `mark` occurs, counted up to a little over `most`; audio, which has none, is passed over fast."""
    count, found = 0, body.find(mark)
    while found >= 0 and count <= most:
        count, found = count + 1, body.find(mark, found + 1)
    return count


def _escapes(body: bytes) -> int:
    """How many characters are written as `\\u`; reading each takes time in which no other thread gets its turn."""
    if b"\\" not in body:
        return 0
    return sum(body.count(b"\\u", start, start + _STRETCH) for start in range(0, len(body), _STRETCH))


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _integer(text: str) -> int:
    if len(text) > 20 or not _MIN_INTEGER <= (number := int(text)) <= _MAX_INTEGER:
        raise ValueError(f"{text[:32]} is too large a number")
    return number


def _without_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    items = dict(pairs)
    if len(items) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise ValueError(f"the key {twice[:64]!r} stands twice in one object")
    return items


def _check(root: dict[str, Any], param: str | None) -> None:
    """Raise RefusedError where `root` is nested too deeply or holds text that is not Unicode."""
    level: list[Any] = [root]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            if isinstance(value, str):
                _check_text(value, param)
            elif isinstance(value, dict):
                below.extend(value)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
        if not below:
            return
        level = below
    raise _too_deep(param)


def _check_text(text: str, param: str | None) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _not_json("it holds half of a surrogate pair, which is no character", param) from None


def _too_deep(param: str | None) -> RefusedError:
    return _not_json(f"it is nested deeper than {MAX_DEPTH} levels", param)


def _not_json(why: str, param: str | None) -> RefusedError:
    what = "The request body" if param is None else param
    return bad_request("invalid_json", f"{what} cannot be read as JSON: {why}.", param)
