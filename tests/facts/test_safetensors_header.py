"""A safetensors file is known by its header alone."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.checkpoints import write_header, write_shard

from stepaudio_serve.facts.checkpoint.safetensors import MAX_HEADER_BYTES, Tensor, read_shard

if TYPE_CHECKING:
    from pathlib import Path

HERE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def kind(path: Path) -> str | None:
    fault = read_shard(path).fault
    return fault.kind if fault else None


def test_tensors_are_read_in_the_order_of_their_data(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "a", [("z", "BF16", (3, 2)), ("a", "F8_E4M3", (5,)), ("scalar", "F32", ())])
    found = read_shard(path)
    assert found.fault is None
    assert found.tensors == (
        Tensor("z", "BF16", (3, 2), 12),
        Tensor("a", "F8_E4M3", (5,), 5),
        Tensor("scalar", "F32", (), 4),
    )


def test_an_empty_header_is_a_valid_one(tmp_path: Path) -> None:
    assert read_shard(write_header(tmp_path / "a", {})).tensors == ()


def entry(begin: Any = 0, end: Any = 4, dtype: Any = "F32", shape: Any = (1,)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ({"a": entry(), "b": entry(2, 6)}, 6),
        ({"a": entry(), "b": entry(8, 12)}, 12),
        ({"a": entry(4, 8)}, 8),
        ({"a": entry(4, 0)}, 4),
        ({"a": entry(0, 8)}, 8),
        ({"a": entry(shape=[2])}, 4),
        ({"a": entry(end=-4)}, 4),
        ({"a": entry(end="4")}, 4),
        ({"a": entry(shape=7)}, 4),
        ({"a": entry(shape=[2**70])}, 4),
        ({"a": {"dtype": "F32"}}, 4),
        ({"a": 7}, 4),
        ({"a": entry()}, 5),
    ],
    ids=[
        *("overlap", "gap", "gap at the start", "backwards", "too long", "too short", "negative", "text", "no shape"),
        *("huge", "half", "number", "more data than the header says"),
    ],
)
def test_a_header_that_contradicts_itself_is_damaged(header: dict[str, Any], data: int, tmp_path: Path) -> None:
    assert kind(write_header(tmp_path / "a", header, data)) == "damaged"


def test_of_a_new_dtype_the_offsets_are_believed(tmp_path: Path) -> None:
    assert kind(write_header(tmp_path / "a", {"a": entry(dtype="F5_NEW")}, 4)) is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "truncated"),
        (b"\x10\0\0", "truncated"),
        (struct.pack("<Q", 500) + b'{"a":', "truncated"),
        (b"<!DOCTYPE html><html><title>Sign in</title></html>", "damaged"),
        (b"\0" * 4096, "damaged"),
        (struct.pack("<Q", MAX_HEADER_BYTES + 1) + b"{", "damaged"),
        (struct.pack("<Q", 2) + b"{[", "damaged"),
        (struct.pack("<Q", 2) + b"{\xff", "damaged"),
        (struct.pack("<Q", 200_000) + b'{"a":' + b"[" * 199_995, "damaged"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n", "lfs-pointer"),
        (b"version https://git-lfs.github.com/spec/v1\n", "lfs-pointer"),
    ],
)
def test_what_is_no_whole_file_is_told_apart(content: bytes, expected: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    assert kind(tmp_path / "a") == expected


@HERE
@given(
    content=st.binary(max_size=200)
    | st.binary(max_size=60).map(lambda text: struct.pack("<Q", len(text) + 1) + b"{" + text)
    | st.recursive(
        st.none() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["a", "dtype", "shape", "data_offsets"]), inner, max_size=3)
        ),
    )
)
def test_no_content_of_a_file_raises(content: object, tmp_path: Path) -> None:
    path = tmp_path / "a"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        write_header(path, {"t": content}, 4)
    found = read_shard(path)
    assert (found.tensors is None) <= (found.fault is not None)


@HERE
@given(
    data=st.data(), sizes=st.lists(st.tuples(st.sampled_from(["F32", "U8"]), st.integers(1, 9)), min_size=1, max_size=4)
)
def test_a_file_cut_off_anywhere_is_never_whole(
    data: st.DataObject, sizes: list[tuple[str, int]], tmp_path: Path
) -> None:
    path = write_shard(tmp_path / "a", [(f"t{place}", dtype, (size,)) for place, (dtype, size) in enumerate(sizes)])
    assert kind(path) is None
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert kind(path) == "truncated"
