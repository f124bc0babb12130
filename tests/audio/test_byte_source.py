from __future__ import annotations

import io

from stepaudio_serve.audio.source import READS_WHILE_OPENING, ByteSource


def test_a_header_that_needs_too_many_reads_finds_the_end() -> None:
    source = ByteSource(bytes(READS_WHILE_OPENING * 2), READS_WHILE_OPENING * 2, is_over=lambda: False)
    reads = sum(1 for _ in iter(lambda: source.read(1), b""))
    assert reads == READS_WHILE_OPENING


def test_once_opened_reads_are_not_counted() -> None:
    source = ByteSource(bytes(READS_WHILE_OPENING * 2), READS_WHILE_OPENING * 2, is_over=lambda: False)
    source.opened()
    assert sum(1 for _ in iter(lambda: source.read(1), b"")) == READS_WHILE_OPENING * 2


def test_when_the_time_is_over_so_is_the_file() -> None:
    assert ByteSource(b"abc", 3, is_over=lambda: True).read(3) == b""


def test_places_outside_become_the_nearest_inside() -> None:
    source = ByteSource(b"abc", 3, is_over=lambda: False)
    assert source.seek(-5) == 0
    assert source.seek(5, io.SEEK_END) == 3
