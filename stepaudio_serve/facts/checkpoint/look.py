"""One look at a checkpoint folder: every fact, and everything that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .checkpoint import SPECIAL_TOKENS, STOP_TOKENS, Checkpoint, Fault
from .json_file import object_or_empty, read_object
from .leftovers import unfinished_beside, unfinished_downloads
from .problem import problem_of
from .quantization import quantization
from .remote_code import remote_code
from .safetensors import pointer
from .shapes import audio_shape, text_shape
from .shards import look_at_shards
from .tokens import token_ids, tokenizer_faults
from .weights import weigh

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CONFIG = "config.json"
_LACKING = {"missing", "dangling", "truncated"}


def look(requested: str, path: Path, mount_source: Path, inside: str, *, is_repository: bool) -> Checkpoint:
    """What the folder at `path` holds. Weights are not read, only the headers of their files."""
    config, config_faults = _config(path)
    shards = look_at_shards(path)
    faults = (*config_faults, *shards.faults, *tokenizer_faults(path), *unfinished_beside(path))
    if any(fault.kind in _LACKING for fault in faults):  # of a complete checkpoint, old leftovers do not matter
        faults += unfinished_downloads(path, mount_source / "blobs" if inside else None)
    ids = token_ids(path)
    code = remote_code(path)
    return Checkpoint(
        requested,
        path,
        mount_source,
        inside,
        exists=True,
        problem=problem_of(faults),
        is_repository=is_repository,
        architectures=_architectures(config),
        text=text_shape(config),
        audio=audio_shape(config),
        quantization=quantization(config, shards.tensors or ()),
        weights=weigh(shards.tensors) if shards.tensors else None,
        faults=faults,
        stop_ids=tuple((token, ids[token]) for token in STOP_TOKENS if token in ids),
        special_ids=tuple((token, ids[token]) for token in SPECIAL_TOKENS if token in ids),
        generation_config=object_or_empty(path / "generation_config.json") or None,
        has_remote_code=bool(code),
        code=code,
    )


def _config(folder: Path) -> tuple[Mapping[str, Any], tuple[Fault, ...]]:
    path = folder / _CONFIG
    try:
        return read_object(path), ()
    except FileNotFoundError:
        return {}, (Fault("dangling" if path.is_symlink() else "missing", _CONFIG),)
    except (OSError, ValueError) as error:
        return {}, (pointer(path) or Fault("damaged", _CONFIG, str(error)),)


def _architectures(config: Mapping[str, Any]) -> tuple[str, ...]:
    names = config.get("architectures")
    return tuple(map(str, names)) if isinstance(names, list) else ()
