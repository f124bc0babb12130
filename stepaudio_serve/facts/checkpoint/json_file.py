"""JSON files of a checkpoint: objects, or nothing."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 64 * 2**20
"""Far more than a configuration or an index has; the tokenizer of R1 has 11 MB."""


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not text, not JSON, or not an object.
    """
    return parse_object(read_small(path))


def read_small(path: Path) -> bytes:
    """A small file's bytes. A pipe or a device would never end, and none of these files is large.

    Raises:
        OSError: it is not a file, cannot be read, or has more than `MAX_BYTES`.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a file")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {MAX_BYTES // 2**20} MiB")
    return content


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
