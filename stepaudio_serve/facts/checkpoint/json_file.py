"""JSON files of a checkpoint: objects, or nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not text, not JSON, or not an object.
    """
    return parse_object(path.read_bytes())


def object_or_empty(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty where there is none."""
    try:
        return read_object(path)
    except (OSError, ValueError):
        return {}


def parse_object(text: bytes) -> dict[str, Any]:
    """The JSON object in a text.

    Raises:
        ValueError: it is not UTF-8, not JSON, or not an object.
    """
    try:
        data = json.loads(text.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(data, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - malformed, like broken JSON
    return data
