"""A few things at a time."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")
Result = TypeVar("Result")


def concurrently(
    jobs: int, function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[tuple[int, Callable[[], Result]]]:
    """Call `function` for each item, at most `jobs` at a time, and yield what came of them as it comes.

    Yields the item's number and a way to get its result, which raises what the function raised. Items are taken
    when there is room for them. With one job all runs in this thread. The threads of several end with the program,
    so that an interruption waits for none of them.
    """
    if jobs == 1:
        for number, item in enumerate(items):
            done = _done(function, item)
            yield number, done.result
        return
    running: dict[Future[Result], int] = {}
    for number, item in enumerate(items):
        running[_started(function, item)] = number
        if len(running) >= jobs:
            yield from _finished(running)
    while running:
        yield from _finished(running)


def in_order(jobs: int, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """The results in the order of the items; raises what the function raised."""
    early: dict[int, Result] = {}
    following = 0
    for number, result in concurrently(jobs, function, items):
        early[number] = result()
        while following in early:
            yield early.pop(following)
            following += 1


def _finished(running: dict[Future[Result], int]) -> Iterator[tuple[int, Callable[[], Result]]]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        yield running.pop(future), future.result


def _started(function: Callable[[Item], Result], item: Item) -> Future[Result]:
    future: Future[Result] = Future()
    threading.Thread(target=_run, args=(future, function, item), daemon=True).start()
    return future


def _done(function: Callable[[Item], Result], item: Item) -> Future[Result]:
    future: Future[Result] = Future()
    try:
        future.set_result(function(item))
    except Exception as error:  # noqa: BLE001 - raised again where the result is asked for
        future.set_exception(error)
    return future


def _run(future: Future[Result], function: Callable[[Item], Result], item: Item) -> None:
    try:
        future.set_result(function(item))
    except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
        future.set_exception(error)
