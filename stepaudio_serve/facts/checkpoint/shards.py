"""The files that hold the weights, against the index that names them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from .checkpoint import Fault
from .json_file import read_object
from .safetensors import pointer, read_shard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .safetensors import Shard, Tensor

INDEX = "model.safetensors.index.json"
_NUMBERED = re.compile(r"(?P<family>.*-)(?P<number>\d{5})-of-(?P<count>\d{5})\.safetensors")


@dataclass(frozen=True, slots=True)
class Shards:
    """`tensors` are all that the checkpoint is made of, or None where a header is not to be had."""

    tensors: tuple[Tensor, ...] | None
    faults: tuple[Fault, ...] = ()


def look_at_shards(folder: Path) -> Shards:
    """Which shards are there and whole; only headers are read.

    The index decides what belongs to the checkpoint, as it does for the engine. Without one, all shards do.
    """
    present = sorted(path.name for path in folder.glob("*.safetensors"))
    mapped, index_fault = _index(folder)
    if not present:
        return Shards(None, (Fault("missing", "weights", "*.safetensors"), *filter(None, [index_fault])))
    if mapped is None:
        needed = sorted({*present, *_numbered(present)})
        source = "the other shards are numbered so"
    else:
        needed = sorted(set(mapped.values()))
        source = f"named by {INDEX}"
    missing = tuple(Fault("missing", name, source) for name in needed if name not in present)
    shards = [read_shard(folder / name) for name in needed if name in present]
    faults = (
        *filter(None, [index_fault]),
        *missing,
        *(shard.fault for shard in shards if shard.fault),
        *_without_their_tensors(shards, mapped or {}),
        *(Fault("extra", name, f"not named by {INDEX}") for name in present if name not in needed),
    )
    known = [shard.tensors for shard in shards if shard.tensors is not None]
    whole = not missing and not index_fault and len(known) == len(shards)
    return Shards(tuple(chain.from_iterable(known)) if whole else None, faults)


def _index(folder: Path) -> tuple[Mapping[str, str] | None, Fault | None]:
    """Tensor to file, and what is wrong with the index; neither where there is none."""
    path = folder / INDEX
    if path.is_symlink() and not path.exists():
        return None, Fault("dangling", INDEX)
    try:
        mapped = read_object(path).get("weight_map")
    except FileNotFoundError:
        return None, None
    except (OSError, ValueError) as error:
        return None, pointer(path) or Fault("damaged", INDEX, str(error))
    if not isinstance(mapped, dict) or not mapped or not all(map(_is_shard, mapped.values())):
        return None, Fault("damaged", INDEX, "it does not map tensors to *.safetensors files of this folder")
    return mapped, None


def _is_shard(name: object) -> bool:
    return isinstance(name, str) and name.endswith(".safetensors") and "/" not in name and "\0" not in name


def _numbered(present: list[str]) -> Iterator[str]:
    """The names that shards numbered `00001-of-00005` imply."""
    series = {(found["family"], found["count"]) for name in present if (found := _NUMBERED.fullmatch(name))}
    for family, count in series:
        for number in range(1, int(count) + 1):
            yield f"{family}{number:05}-of-{count}.safetensors"


def _without_their_tensors(shards: list[Shard], mapped: Mapping[str, str]) -> Iterator[Fault]:
    """Shards that lack tensors which the index maps to them."""
    expected: dict[str, list[str]] = {}
    for tensor, name in mapped.items():
        expected.setdefault(name, []).append(tensor)
    for shard in shards:
        if shard.tensors is None:
            continue
        held = {tensor.name for tensor in shard.tensors}
        lacks = [name for name in expected.get(shard.name, ()) if name not in held]
        if lacks:
            more = f" and {len(lacks) - 1} more" if len(lacks) > 1 else ""
            yield Fault("damaged", shard.name, f"it lacks {lacks[0]}{more}, which {INDEX} maps to it")
