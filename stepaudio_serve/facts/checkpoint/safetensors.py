"""The header of a safetensors file: what tensors it holds, and whether the file is whole.

A file is the header's length (8 bytes, little-endian), the header (a JSON object of dtype, shape and place of each
tensor) and the data, without gaps. Only the header is read. The library `safetensors` would need numpy or torch, maps
the whole file, and says of a broken one only that it is broken; here the engine's refusal (`HeaderTooLarge`,
`InvalidHeaderLength`, `incomplete metadata, file not fully covered`) is known beforehand and told in its kinds.
Source of the format and its limits: https://github.com/huggingface/safetensors (README, `tensor.rs`).
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from .checkpoint import Fault
from .json_file import parse_object
from .sizes import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LENGTH_BYTES = 8
MAX_RANK = 16  # no tensor of a model has more than a handful
MAX_HEADER_BYTES = 100_000_000
"""The library's own limit."""
_BITS = {
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E5M2FNUZ": 8, "F8_E4M3FNUZ": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32,
    "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip
_POINTER = b"version https://git-lfs"
_POINTER_BYTES = 1024
"""Git LFS: a pointer is smaller than this."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's place in the header; `size` in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Shard:
    """One file: its tensors, None where the header is not to be had, and what is wrong with it."""

    name: str
    tensors: tuple[Tensor, ...] | None
    fault: Fault | None = None


def read_shard(path: Path) -> Shard:
    """Look at one file; whatever is wrong with it is in the result, nothing is raised."""
    try:
        if path.is_symlink() and not path.exists():
            return Shard(path.name, None, Fault("dangling", path.name))
        if not path.is_file():
            return Shard(path.name, None, Fault("damaged", path.name, "it is not a file"))
        with path.open("rb") as file:
            return _read(path.name, file)
    except OSError as error:
        return Shard(path.name, None, Fault("damaged", path.name, error.strerror or str(error)))


def _read(name: str, file: BinaryIO) -> Shard:
    size = os.fstat(file.fileno()).st_size
    start = file.read(_POINTER_BYTES)
    if fault := _beginning(name, start, size):
        return Shard(name, None, fault)
    length = int.from_bytes(start[:LENGTH_BYTES], "little")
    file.seek(LENGTH_BYTES)
    try:
        header = parse_object(file.read(length))
    except ValueError:
        return Shard(name, None, Fault("damaged", name, "its header is not JSON"))
    try:
        tensors, end = _parse(header)
    except ValueError as error:
        return Shard(name, None, Fault("damaged", name, str(error)))
    return Shard(name, tensors, _covered(name, size - LENGTH_BYTES - length, end))


def pointer(path: Path) -> Fault | None:
    """The fault of a file that is a Git LFS pointer."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            start = file.read(_POINTER_BYTES)
    except OSError:
        return None
    return _pointer(path.name, start)


def _pointer(name: str, start: bytes) -> Fault | None:
    if not start.startswith(_POINTER):
        return None
    size = re.search(rb"^size (\d{1,15})$", start, re.MULTILINE)
    return Fault("lfs-pointer", name, in_words(int(size[1])) if size else "")


def _beginning(name: str, start: bytes, size: int) -> Fault | None:
    """What the first bytes of a file of `size` bytes tell is wrong."""
    if found := _pointer(name, start):
        return found
    length = int.from_bytes(start[:LENGTH_BYTES], "little")
    if not size:
        fault = Fault("truncated", name, "it is empty")
    elif size <= LENGTH_BYTES:
        fault = Fault("truncated", name, f"it ends after {in_words(size)}")
    elif not length:
        fault = Fault("damaged", name, "it begins with zeros, like a file laid out for a download and not filled")
    elif length > MAX_HEADER_BYTES or start[LENGTH_BYTES:][:1] != b"{":
        fault = Fault("damaged", name, "it does not begin as a safetensors file does")
    elif length > size - LENGTH_BYTES:
        fault = Fault("truncated", name, f"it ends inside its header, after {in_words(size)}")
    else:
        fault = None
    return fault


def _covered(name: str, there: int, needed: int) -> Fault | None:
    """The header's end offset against the bytes of data that are there."""
    if there < needed:
        return Fault("truncated", name, f"its last {in_words(needed - there)} are missing")
    if there > needed:
        return Fault("damaged", name, f"it is {in_words(there - needed)} longer than its header says")
    return None


def _parse(header: dict[str, Any]) -> tuple[tuple[Tensor, ...], int]:
    """The tensors in the order of their data, and where the data ends.

    Raises:
        ValueError: they do not lie side by side, or a size contradicts shape and dtype.
    """
    end = 0
    tensors = []
    for begin, stop, tensor in sorted(_entries(header), key=lambda entry: entry[:2]):
        if begin != end or stop < begin:
            raise ValueError(f"in its header {tensor.name} does not begin where the tensor before it ends")
        end = stop
        tensors.append(tensor)
    return tuple(tensors), end


def _entries(header: dict[str, Any]) -> Iterator[tuple[int, int, Tensor]]:
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            dtype, shape = str(entry["dtype"]), tuple(map(_count, entry["shape"]))
            begin, stop = map(_count, entry["data_offsets"])
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"its header does not describe {name}") from None
        if len(shape) > MAX_RANK:
            raise ValueError(f"its header gives {name} {len(shape)} dimensions")
        bits = _BITS.get(dtype)  # of a dtype that is newer than this list the offsets are believed
        if bits and math.prod(shape) * bits != (stop - begin) * 8:
            raise ValueError(f"in its header the size of {name} contradicts its shape")
        yield begin, stop, Tensor(name, dtype, shape, stop - begin)


def _count(value: object) -> int:
    if isinstance(value, int) and 0 <= value < 2**63:
        return value
    raise ValueError
