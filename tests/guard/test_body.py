from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepaudio_serve.guard import body
from stepaudio_serve.guard.admission import Admission
from stepaudio_serve.guard.body import ClientGoneError, Upload, read_body
from stepaudio_serve.guard.config import Limits
from stepaudio_serve.guard.refusal import RefusedError

if TYPE_CHECKING:
    from stepaudio_serve.guard.asgi import Message

LIMITS = Limits(request_bytes=100, bytes_in_flight=150, body_timeout=0.05)
GONE: Message = {"type": "http.disconnect"}


def piece(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


class Sender:
    """A client's upload; after its messages it is silent."""

    def __init__(self, *messages: Message, length: str | None = None, pauses: tuple[float, ...] = ()) -> None:
        self._pauses = list(pauses)
        self._messages = list(messages)
        self.left = len(messages)
        headers = [] if length is None else [(b"content-length", length.encode())]
        self.upload = Upload({"type": "http", "headers": headers or [(b"transfer-encoding", b"chunked")]}, self.receive)

    async def receive(self) -> Message:
        if not self._messages:
            await asyncio.Event().wait()
        self.left -= 1
        if self._pauses:
            await asyncio.sleep(self._pauses.pop(0))
        return self._messages.pop(0)

    def read(self, admission: Admission | None = None, limits: Limits = LIMITS) -> bytes:
        with (admission or Admission(limits)).body() as room:
            return asyncio.run(read_body(self.upload, limits, room))

    def refusal(self, admission: Admission | None = None, limits: Limits = LIMITS) -> tuple[int, str]:
        with pytest.raises(RefusedError) as caught:
            self.read(admission, limits)
        return caught.value.refusal.status, caught.value.refusal.code


@given(pieces=st.lists(st.binary(max_size=12), max_size=8))
def test_a_body_in_pieces_is_their_sum(pieces: list[bytes]) -> None:
    sender = Sender(*map(piece, pieces), piece(b"", more=False))
    assert sender.read() == b"".join(pieces)
    assert sender.upload.ended


def test_a_message_without_a_body_is_an_empty_body() -> None:
    assert Sender({"type": "http.request"}).read() == b""


@pytest.mark.parametrize("length", ["101", "999999999999999999"])
def test_one_that_announces_too_much_is_turned_away_unread(length: str) -> None:
    sender = Sender(piece(b"x"), length=length)
    assert sender.refusal() == (413, "request_too_large")
    assert sender.left == 1


@pytest.mark.parametrize("length", [None, "5", "-1", "1e1", "9" * 40])
def test_one_that_lies_about_its_length_is_stopped_as_it_grows(length: str | None) -> None:
    sender = Sender(piece(b"x" * 60), piece(b"x" * 41), piece(b"never read"), length=length)
    assert sender.refusal() == (413, "request_too_large")
    assert sender.left == 1


def test_a_body_just_large_enough_is_taken() -> None:
    assert len(Sender(piece(b"x" * 100, more=False), length="100").read()) == 100


@pytest.mark.parametrize("length", ["60", None])
def test_one_for_which_there_is_no_room_is_told_to_come_again(length: str | None) -> None:
    admission = Admission(LIMITS)
    with admission.body() as other:
        other.take(100)
        sender = Sender(piece(b"x" * 60), length=length)
        assert sender.refusal(admission) == (429, "too_many_bytes")
        assert sender.left == (1 if length else 0), "what is announced is judged unread"
        assert admission.bytes == 100


def test_one_that_does_not_arrive_in_time_is_given_up() -> None:
    sender = Sender(piece(b"x"), length="50")
    assert sender.refusal() == (408, "request_too_slow")


def test_one_that_trickles_is_given_up_before_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "GRACE_SECONDS", 0.05)
    patient = replace(LIMITS, request_bytes=1 << 20, bytes_in_flight=1 << 20, body_timeout=3600.0)
    assert Sender(piece(b"x"), length="50").refusal(limits=patient) == (408, "request_too_slow")
    monkeypatch.setattr(body, "LEAST_BYTES_PER_SECOND", 0.001)
    late = Sender(piece(b"x"), piece(b"y", more=False), pauses=(0, 0.1))
    assert late.read(limits=patient) == b"xy"


def test_a_client_that_leaves_is_no_error_of_its_request() -> None:
    with pytest.raises(ClientGoneError):
        Sender(piece(b"x"), GONE, length="50").read()


@pytest.mark.parametrize(
    ("headers", "ended"),
    [
        ([], True),
        ([(b"content-length", b"0")], True),
        ([(b"content-length", b"1")], False),
        ([(b"transfer-encoding", b"chunked")], False),
    ],
)
def test_a_request_without_a_body_has_ended_from_the_start(headers: Any, ended: bool) -> None:
    assert Upload({"headers": headers}, Sender().receive).ended is ended
