"""How much is let in at a time: requests, and bytes of their bodies."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from .refusal import Refusal, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .config import Limits

RETRY_AFTER_SECONDS = 2

READERS_PER_PLACE = 4
"""So many requests are read for each that the engine may have: slow senders take no place there."""


class Admission:
    """Counts what is inside. For one event loop: nothing here waits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.readers = 0
        self.requests = 0
        self.bytes = 0

    @contextmanager
    def reader(self) -> Iterator[None]:
        """A place for one request whose body is read. Raises RefusedError (429) where all are taken."""
        if self.readers >= self._limits.concurrent_requests * READERS_PER_PLACE:
            raise too_many("too_many_requests", f"The server receives {self.readers} requests, as many as it can.")
        self.readers += 1
        try:
            yield
        finally:
            self.readers -= 1

    @contextmanager
    def request(self) -> Iterator[None]:
        """A place for one request, while the block runs. Raises RefusedError (429) where all are taken."""
        if self.requests >= self._limits.concurrent_requests:
            raise too_many(
                "too_many_requests",
                f"The server works on {self.requests} requests, as many as it takes at a time.",
            )
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    @contextmanager
    def body(self) -> Iterator[Room]:
        """Room for one body, which is given back when the block ends."""
        room = Room(self)
        try:
            yield room
        finally:
            room.settle(0)

    def check_room(self, count: int, taken: int) -> None:
        """Whether one that has `taken` may have `count` bytes more. Raises RefusedError (429) where it may not.

        One that is alone may always: its own limits bound it, and it would never be served otherwise.
        """
        if self.bytes + count > self._limits.bytes_in_flight and self.bytes > taken:
            raise too_many(
                "too_many_bytes",
                f"The server holds {self.bytes} bytes of requests that it reads or prepares; it takes "
                f"{self._limits.bytes_in_flight} at a time.",
            )


class Room:
    """What one request has taken so far, in bytes: its body, then the audio made of it."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.taken = 0

    def check(self, count: int) -> None:
        """Raises RefusedError (429) where there is no room for `count` bytes more; takes none."""
        self._admission.check_room(count, self.taken)

    def take(self, count: int) -> None:
        """Take room for `count` bytes more. Raises RefusedError (429) where there is none."""
        self.check(count)
        self._admission.bytes += count
        self.taken += count

    def settle(self, count: int) -> None:
        """Have `count` bytes from now on, whatever was taken before."""
        self._admission.bytes += count - self.taken
        self.taken = count


def too_many(code: str, what: str) -> RefusedError:
    """The error to raise (429) where there is too much of something for now."""
    wait = str(RETRY_AFTER_SECONDS)
    return RefusedError(
        Refusal(
            status=429,
            code=code,
            message=f"{what} Send the request again in {wait} s or later.",
            headers=((b"retry-after", wait.encode()),),
        )
    )
