from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from stepaudio_serve.guard.request.threads import LARGE, Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class Jobs:
    """Jobs that end when they are told to, and remember the order in which they began."""

    def __init__(self, workers: int) -> None:
        self.threads = Threads(workers, "test")
        self.began: list[str] = []
        self.gates: dict[str, threading.Event] = {}

    def submit(self, name: str, size: int = 0, *, stop: bool = False) -> asyncio.Task[str]:
        gate = self.gates[name] = threading.Event()

        def work() -> str:
            self.began.append(name)
            assert gate.wait(30)
            return name

        return asyncio.ensure_future(self.threads.run(size, work, gate.set if stop else None))

    async def until_began(self, *names: str) -> None:
        while sorted(self.began) != sorted(names):
            await asyncio.sleep(0.001)


def run(scenario: Callable[[Jobs], Coroutine[None, None, None]], workers: int = 1) -> None:
    async def whole() -> None:
        jobs = Jobs(workers)
        try:
            await asyncio.wait_for(scenario(jobs), 30)
        finally:
            for gate in jobs.gates.values():
                gate.set()
            jobs.threads.close()

    asyncio.run(whole())


def test_the_smallest_that_waits_is_next_and_equals_keep_their_order() -> None:
    async def scenario(jobs: Jobs) -> None:
        tasks = [jobs.submit("first", 9), jobs.submit("big", 5), jobs.submit("a", 1), jobs.submit("b", 1)]
        await jobs.until_began("first")
        for gate in jobs.gates.values():
            gate.set()
        assert await asyncio.gather(*tasks) == ["first", "big", "a", "b"]
        assert jobs.began == ["first", "a", "b", "big"]

    run(scenario)


def test_large_ones_leave_a_thread_to_small_ones() -> None:
    async def scenario(jobs: Jobs) -> None:
        large = [jobs.submit(f"large {number}", LARGE) for number in range(2)]
        small = jobs.submit("small", 1)
        await jobs.until_began("large 0", "small")
        jobs.gates["small"].set()
        assert await small == "small"
        assert jobs.began == ["large 0", "small"]
        jobs.gates["large 0"].set()
        await jobs.until_began("large 0", "small", "large 1")
        jobs.gates["large 1"].set()
        await asyncio.gather(*large)

    run(scenario, workers=2)


def test_one_that_waits_and_is_given_up_never_begins() -> None:
    async def scenario(jobs: Jobs) -> None:
        running, waiting, behind = jobs.submit("running"), jobs.submit("waiting"), jobs.submit("behind")
        await jobs.until_began("running")
        waiting.cancel()
        await asyncio.wait({waiting})
        for gate in jobs.gates.values():
            gate.set()
        await asyncio.gather(running, behind)
        assert jobs.began == ["running", "behind"]

    run(scenario)


def test_one_that_runs_and_is_given_up_is_told_to_stop_and_waited_for() -> None:
    async def scenario(jobs: Jobs) -> None:
        stopping, going_on, behind = jobs.submit("stopping", stop=True), jobs.submit("going on"), jobs.submit("behind")
        await jobs.until_began("stopping")
        stopping.cancel()
        await asyncio.wait({stopping})
        await jobs.until_began("stopping", "going on")
        going_on.cancel()
        done, _ = await asyncio.wait({going_on}, timeout=0.05)
        assert not done, "its thread still holds what it was given"
        jobs.gates["going on"].set()
        with pytest.raises(asyncio.CancelledError):
            await going_on
        jobs.gates["behind"].set()
        assert await behind == "behind"

    run(scenario)


def test_one_given_up_as_its_turn_comes_gives_the_turn_on() -> None:
    async def scenario(jobs: Jobs) -> None:
        running, called, behind = jobs.submit("running"), jobs.submit("called"), jobs.submit("behind")
        await jobs.until_began("running")
        running.add_done_callback(lambda _: called.cancel())
        for gate in jobs.gates.values():
            gate.set()
        assert await running == "running"
        assert await behind == "behind"

    run(scenario)


def test_what_a_job_raises_is_raised_and_the_thread_is_free_again() -> None:
    async def scenario(jobs: Jobs) -> None:
        with pytest.raises(ZeroDivisionError):
            await jobs.threads.run(0, lambda: 1 // 0)
        jobs.submit("next")
        await jobs.until_began("next")

    run(scenario)
