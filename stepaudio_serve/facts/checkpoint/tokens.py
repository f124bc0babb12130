"""The tokenizer: whether there is one, and the ids of the tokens that matter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .checkpoint import SPECIAL_TOKENS, STOP_TOKENS, Fault
from .json_file import object_or_empty
from .safetensors import pointer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_TOKENIZER = "tokenizer.json"
_HEAD_BYTES = 256 * 1024
_MOST_HEAD_BYTES = 4 * 1024 * 1024
_OTHER_MAKES = (("vocab.json", "merges.txt"), ("tokenizer.model",), ("tekken.json",))


def token_ids(folder: Path) -> dict[str, int]:
    """Ids of those of `STOP_TOKENS` and `SPECIAL_TOKENS` that are single tokens, which is to say added ones.

    The small files are read first, and of tokenizer.json (11 MB) only what stands before the vocabulary.
    """
    wanted = {*STOP_TOKENS, *SPECIAL_TOKENS}
    known = dict(_listed(folder))
    if not wanted <= known.keys():
        known.update(_added_tokens(folder / _TOKENIZER))
    return {token: known[token] for token in (*STOP_TOKENS, *SPECIAL_TOKENS) if token in known}


def tokenizer_faults(folder: Path) -> tuple[Fault, ...]:
    """No tokenizer of any known make, or one that did not arrive whole.

    A tokenizer that brings code of its own may keep its vocabulary under any name: then nothing is said.
    """
    main = folder / _TOKENIZER
    if main.is_symlink() and not main.exists():
        return (Fault("dangling", _TOKENIZER),)
    if main.is_file():
        fault = pointer(main) or _cut_off(main)
        return (fault,) if fault else ()
    if any(all((folder / name).is_file() for name in make) for make in _OTHER_MAKES) or any(folder.glob("*.tiktoken")):
        return ()
    if "auto_map" in object_or_empty(folder / "tokenizer_config.json"):
        return ()
    return (Fault("missing", "tokenizer", f"{_TOKENIZER}, or vocab.json with merges.txt"),)


def _cut_off(path: Path) -> Fault | None:
    """A JSON object ends with its brace."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 64))
            end = file.read().rstrip()
    except OSError as error:
        return Fault("damaged", path.name, error.strerror or str(error))
    return None if end.endswith(b"}") else Fault("truncated", path.name, "it does not end as JSON does")


def _listed(folder: Path) -> Iterator[tuple[str, int]]:
    """Tokens of added_tokens.json (text to id), then those of tokenizer_config.json (id to description)."""
    added = object_or_empty(folder / "added_tokens.json")
    yield from ((token, number) for token, number in added.items() if isinstance(number, int))
    decoder = object_or_empty(folder / "tokenizer_config.json").get("added_tokens_decoder")
    for number, item in decoder.items() if isinstance(decoder, dict) else ():
        if number.isdecimal() and isinstance(item, dict):
            yield str(item.get("content")), int(number)


def _added_tokens(path: Path) -> Mapping[str, int]:
    """The `added_tokens` array of tokenizer.json, read no further than it reaches."""
    if not path.is_file():
        return {}
    try:
        with path.open("rb") as file:
            head = b""
            while len(head) < _MOST_HEAD_BYTES and (more := file.read(max(_HEAD_BYTES, len(head)))):
                head += more
                if (tokens := _array(head)) is not None:
                    return {str(token["content"]): int(token["id"]) for token in tokens}
    except (OSError, KeyError, TypeError, ValueError):
        pass
    return {}


def _array(head: bytes) -> list[Any] | None:
    """The array, or None where more has to be read.

    Raises:
        TypeError: `added_tokens` is something else than an array.
    """
    text = head.decode("utf-8", "ignore")
    place = text.find('"added_tokens"')
    start = text.find(":", place) + 1
    if place < 0 or not start or not text[start:].lstrip():
        return None
    try:
        tokens, _ = json.JSONDecoder().raw_decode(text[start:].lstrip())
    except (ValueError, RecursionError):
        return None
    if not isinstance(tokens, list):
        raise TypeError
    return tokens
