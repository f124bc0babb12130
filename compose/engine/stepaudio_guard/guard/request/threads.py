"""Work in a few threads of the guard's own; the engine uses asyncio's for itself."""

from __future__ import annotations

import asyncio
import heapq
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

LARGE = 4 << 20
"""Bytes; such a job never takes the last free thread, which is kept for smaller ones (two minutes of WAV are less)."""

_Result = TypeVar("_Result")


class Threads:
    """For one event loop. Jobs wait outside the threads, so that one that is given up is gone; the smallest is next."""

    def __init__(self, workers: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._free = workers
        self._free_for_large = max(1, workers - 1)
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = count()

    async def run(self, size: int, work: Callable[[], _Result], stop: Callable[[], None] | None = None) -> _Result:
        """The result of `work`, which is about `size` bytes.

        Given up while it runs, it is told to `stop`, and waited for: what it holds is held until then.
        """
        await self._turn(size)
        job = asyncio.get_running_loop().run_in_executor(self._threads, work)
        job.add_done_callback(partial(self._ended, size))
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            if stop is not None:
                stop()
            await asyncio.wait({job})
            raise

    def close(self) -> None:
        """Take no more work and let go of the threads; nothing is waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _turn(self, size: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (size, next(self._numbers), turn)
        heapq.heappush(self._waiting, place)
        self._call_next()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._give_back(size)
            elif place in self._waiting:
                self._waiting.remove(place)
                heapq.heapify(self._waiting)
            raise

    def _call_next(self) -> None:
        while self._waiting and self._free:
            size, _, turn = self._waiting[0]
            is_large = size >= LARGE
            if is_large and not self._free_for_large:
                return
            heapq.heappop(self._waiting)
            if not turn.done():
                self._free -= 1
                self._free_for_large -= is_large
                turn.set_result(None)

    def _give_back(self, size: int) -> None:
        self._free += 1
        self._free_for_large += size >= LARGE
        self._call_next()

    def _ended(self, size: int, job: asyncio.Future[Any]) -> None:
        if not job.cancelled():
            job.exception()  # where nobody waits for it any more, it is not to be reported as forgotten
        self._give_back(size)
