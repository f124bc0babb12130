"""HTTP headers as ASGI has them: pairs of bytes, the names in lower case."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from .asgi import Scope

Headers: TypeAlias = "list[tuple[bytes, bytes]]"


def values(scope: Scope, name: bytes) -> list[bytes]:
    """What the request says under `name`, once for each time that it says it."""
    return [value for found, value in scope["headers"] if found == name]


def value(scope: Scope, name: bytes) -> bytes:
    """What the request says first under `name`; empty where it says nothing."""
    return next((value for found, value in scope["headers"] if found == name), b"")


def without(headers: Iterable[tuple[bytes, bytes]], names: Collection[bytes]) -> Headers:
    """The headers but those called `names`."""
    return [(name, value) for name, value in headers if name.lower() not in names]


def content_length(scope: Scope) -> int | None:
    """The bytes that the request announces; None where it announces none, or no number."""
    text = value(scope, b"content-length")
    return int(text) if text.isdigit() and len(text) < 19 else None
