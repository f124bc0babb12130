"""Looks at slow things side by side, none of which may hold up the others: each has a limit of time.

A driver, a daemon or a network file system that hangs cannot be interrupted. Its look runs in a daemon thread, which
is left behind when its time is up and does not keep the process from ending.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Look(Generic[T]):
    """A look under way, begun when this is made; it has `seconds` from then on."""

    def __init__(self, at: Callable[[], T], *, seconds: float) -> None:
        self.seconds = seconds
        self._at = at
        self._seen: list[T] = []
        self._raised: list[BaseException] = []
        self._deadline = time.monotonic() + seconds
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._seen.append(self._at())
        except BaseException as error:  # noqa: BLE001 - raised again where the answer is wanted
            self._raised.append(error)

    def answer(self, too_late: Callable[[str], T]) -> T:
        """What was seen, waited for as long as there is time; else what `too_late` makes of the words for that.

        Raises:
            Exception: whatever the look raised.
        """
        self._thread.join(max(0.0, self._deadline - time.monotonic()))
        if self._raised:
            raise self._raised[0]
        return self._seen[0] if self._seen else too_late(f"gave no answer within {self.seconds:g} s")
