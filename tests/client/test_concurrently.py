"""A few things at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from stepaudio_serve.client.concurrently import concurrently, in_order

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize("jobs", [1, 3])
def test_results_come_in_order_and_items_are_taken_when_there_is_room(jobs: int) -> None:
    taken, done = 0, 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(50):
            assert taken - done <= jobs
            taken += 1
            yield number

    def double(number: int) -> int:
        nonlocal done
        done += 1
        return 2 * number

    assert list(in_order(jobs, double, items())) == [2 * number for number in range(50)]


def test_as_many_run_at_a_time_as_allowed() -> None:
    together = threading.Barrier(3, timeout=30)
    assert sorted(number for number, _ in concurrently(3, lambda _item: together.wait(), range(6))) == list(range(6))


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_raised_is_raised_where_the_result_is_asked_for(jobs: int) -> None:
    results = dict(concurrently(jobs, lambda item: 1 // item, [1, 0, 1]))
    assert results[0]() == results[2]() == 1
    with pytest.raises(ZeroDivisionError):
        results[1]()
    with pytest.raises(ZeroDivisionError):
        list(in_order(jobs, lambda item: 1 // item, [1, 0, 1]))
