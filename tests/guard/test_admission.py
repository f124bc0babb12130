from __future__ import annotations

from contextlib import ExitStack

import pytest

from stepaudio_serve.guard.admission import READERS_PER_PLACE, Admission
from stepaudio_serve.guard.config import Limits
from stepaudio_serve.guard.refusal import RefusedError


@pytest.fixture
def admission() -> Admission:
    return Admission(Limits(concurrent_requests=2, bytes_in_flight=100))


def test_a_request_too_many_is_told_when_to_come_again(admission: Admission) -> None:
    with admission.request(), admission.request(), pytest.raises(RefusedError) as caught, admission.request():
        pass
    refusal = caught.value.refusal
    assert (refusal.status, refusal.code) == (429, "too_many_requests")
    assert (b"retry-after", b"2") in refusal.headers


def test_a_place_is_free_again_however_its_request_ended(admission: Admission) -> None:
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), admission.request():
            raise ZeroDivisionError
    assert admission.requests == 0


def test_bytes_are_counted_over_all_bodies(admission: Admission) -> None:
    with admission.body() as one, admission.body() as other:
        one.take(60)
        other.take(40)
        with pytest.raises(RefusedError) as caught:
            other.take(1)
        assert (caught.value.refusal.status, caught.value.refusal.code) == (429, "too_many_bytes")
        assert admission.bytes == 100
    assert admission.bytes == 0


def test_what_is_only_announced_is_checked_and_not_taken(admission: Admission) -> None:
    with ExitStack() as bodies:
        for _ in range(3):
            bodies.enter_context(admission.body()).check(90)
        assert admission.bytes == 0
        bodies.enter_context(admission.body()).take(10)
        with pytest.raises(RefusedError):
            bodies.enter_context(admission.body()).check(91)


def test_one_that_is_alone_always_has_room(admission: Admission) -> None:
    with admission.body() as alone:
        alone.check(1000)
        alone.take(60)
        alone.take(60)
        with admission.body() as other, pytest.raises(RefusedError):
            other.take(1)


def test_room_is_settled_at_what_is_kept(admission: Admission) -> None:
    with admission.body() as room:
        room.take(90)
        room.settle(30)
        assert admission.bytes == 30
        room.settle(0)
        assert admission.bytes == 0
    assert admission.bytes == 0


def test_readers_have_places_of_their_own(admission: Admission) -> None:
    with ExitStack() as reading:
        for _ in range(2 * READERS_PER_PLACE):
            reading.enter_context(admission.reader())
        with admission.request(), pytest.raises(RefusedError) as caught:
            reading.enter_context(admission.reader())
        assert (caught.value.refusal.status, caught.value.refusal.code) == (429, "too_many_requests")
    assert admission.readers == 0
