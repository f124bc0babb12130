"""Bytes in memory as the file that libsndfile reads through."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

READS_WHILE_OPENING = 20_000
"""Reads allowed before the first sound. Whole files need under a hundred; a header of millions of empty blocks, each
read by itself, would hold the interpreter (and soundfile's lock on opening) for seconds."""


class ByteSource:
    """A read-only file over `data` that never raises: an exception inside a C callback would only be printed.

    It pretends to be at its end once `is_over()` is true, or after READS_WHILE_OPENING reads without a call of
    `opened`, so that no parser, however it loops, outlasts its time. It claims to be `claimed_size` bytes long:
    a reader that only jumps beyond the data finds zeros, one that reads on finds the end.
    """

    def __init__(self, data: bytes | bytearray, claimed_size: int, *, is_over: Callable[[], bool]) -> None:
        self._data = memoryview(data)
        self._size = claimed_size
        self._place = 0
        self._is_over = is_over
        self._reads_left: float = READS_WHILE_OPENING

    def opened(self) -> None:
        """The header is read; from now on only time counts."""
        self._reads_left = float("inf")

    def readinto(self, buffer: memoryview) -> int:
        """Fill `buffer` as far as there is data; the number of bytes."""
        self._reads_left -= 1
        if self._reads_left < 0 or self._is_over():
            return 0
        if self._place > len(self._data):
            part = memoryview(bytes(min(len(buffer), max(0, self._size - self._place))))
        else:
            part = self._data[self._place : self._place + len(buffer)]
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)

    def read(self, count: int) -> bytes:
        """At most `count` bytes."""
        part = bytearray(count)
        return bytes(part[: self.readinto(memoryview(part))])

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """The new place; one outside becomes the nearest inside."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place}.get(whence, self._size)
        self._place = min(max(0, base + offset), self._size)
        return self._place

    def tell(self) -> int:
        """The place of the next byte to read."""
        return self._place
