"""How much is let in at a time: requests, and bytes of their bodies."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from .refusal import Refusal, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .config import Limits

RETRY_AFTER_SECONDS = 2


class Admission:
    """Counts what is inside. For one event loop: nothing here waits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.requests = 0
        self.bytes = 0

    @contextmanager
    def request(self) -> Iterator[None]:
        """A place for one request, while the block runs. Raises RefusedError (429) where all are taken."""
        if self.requests >= self._limits.concurrent_requests:
            raise _too_many(
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
            self.bytes -= room.taken

    def check_room(self, count: int) -> None:
        """Raises RefusedError (429) where `count` more bytes would be more than are taken at a time."""
        if self.bytes + count > self._limits.bytes_in_flight:
            raise _too_many(
                "too_many_bytes",
                f"The server holds {self.bytes} bytes of requests that it reads or prepares; it takes "
                f"{self._limits.bytes_in_flight} at a time.",
            )


class Room:
    """What one body has taken so far, in bytes."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.taken = 0

    def check(self, count: int) -> None:
        """Raises RefusedError (429) where there is no room for `count` bytes more; takes none."""
        self._admission.check_room(count)

    def take(self, count: int) -> None:
        """Take room for `count` bytes more. Raises RefusedError (429) where there is none."""
        self.check(count)
        self._admission.bytes += count
        self.taken += count


def _too_many(code: str, what: str) -> RefusedError:
    wait = str(RETRY_AFTER_SECONDS)
    return RefusedError(
        Refusal(
            status=429,
            code=code,
            message=f"{what} Send the request again in {wait} s or later.",
            headers=((b"retry-after", wait.encode()),),
        )
    )
