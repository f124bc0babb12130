"""The engine's answer on its way to the client: an ASGI `send` that sorts, says what was changed, and passes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from ..failure import log_failure
from ..headers import without
from ..refusal import Refusal, messages
from .choices import separate_message
from .sse import EventStream, dump
from .transcripts import transcript_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..asgi import Message, Send
    from ..prepared import Prepared

LARGEST_ANSWER = 32 << 20
"""Bytes of a whole answer that are read to tell its thinking apart; a larger one passes as it is, and says so."""

_Course: TypeAlias = "Callable[[Message], Iterable[Message]]"
"""What becomes of one answer: the messages that go on for each that comes."""

_TOO_LARGE = (b"x-stepaudio-notice", b"the answer is too large to tell its thinking from its text")
_CUT_OFF = (b"x-stepaudio-notice", b"the transcript is cut off: the context was full before it ended")
_FAILED = Refusal(500, "guard_failed", "The guard failed on the engine's answer; the server's log says where.")


class Reply:
    """The `send` that the engine is given for a request that was prepared."""

    def __init__(self, prepared: Prepared, send: Send, failed: Callable[[], None]) -> None:
        self._mode = prepared.thinking  # not all of it: its body is megabytes
        self._notices = prepared.notices
        self._transcript = prepared.transcript
        self._send = send
        self._failed = failed
        self._course: _Course = self._begin
        self._started = False

    async def __call__(self, message: Message) -> None:
        """Pass one message on, or what it has become."""
        try:
            going = list(self._course(message))
        except Exception as error:  # noqa: BLE001 - a bug here must not leave the client without an end
            log_failure("the answer could not be passed on", error)
            self._failed()
            going = self._give_up()
        for one in going:
            self._started = self._started or one["type"] == "http.response.start"
            await self._send(one)

    def _begin(self, message: Message) -> Iterable[Message]:
        """The first message decides, by what the engine says that its answer is."""
        if message["type"] != "http.response.start":
            return [message]
        headers = [*message.get("headers", ()), *self._notices]
        start = {**message, "headers": headers}
        kind = next((value for name, value in headers if name.lower() == b"content-type"), b"")
        kind = kind.partition(b";")[0].strip().lower()
        as_it_is = message["status"] != 200 or any(name.lower() == b"content-encoding" for name, _ in headers)
        if as_it_is or (self._mode == "raw" and self._transcript is None):
            self._course = _as_it_is
        elif kind == b"application/json":
            self._course = _Whole(start, self._change)
            return []
        elif kind == b"text/event-stream":
            start["headers"] = without(headers, {b"content-length"})
            self._course = _Stream(EventStream(self._mode))
        else:
            self._course = _as_it_is
        return [start]

    def _change(self, start: Message, body: bytes) -> Iterable[Message]:
        completion = json.loads(body)
        mode, wanted = self._mode, self._transcript
        if wanted is None:
            for choice in completion["choices"]:
                separate_message(choice, mode)
            return _whole(start, dump(completion))
        transcript = transcript_of(completion, wanted, mode)
        if isinstance(transcript, Refusal):
            return messages(transcript)
        kind, text = transcript
        headers = [*without(start["headers"], {b"content-type"}), (b"content-type", kind)]
        if completion["choices"][0].get("finish_reason") == "length":
            headers.append(_CUT_OFF)
        return _whole({**start, "headers": headers}, text)

    def _give_up(self) -> list[Message]:
        self._course = _nothing
        if not self._started:
            return messages(_FAILED)
        return [{"type": "http.response.body", "body": b"data: " + _FAILED.body + b"\n\ndata: [DONE]\n\n"}]


class _Stream:
    """Each piece as it comes; nothing waits but a line that has not ended."""

    def __init__(self, events: EventStream) -> None:
        self._events = events

    def __call__(self, message: Message) -> Iterable[Message]:
        if message["type"] != "http.response.body":
            return [message]
        body, more = self._events.feed(message.get("body", b"")), message.get("more_body", False)
        if more:
            return [{**message, "body": body}] if body else []
        return [{**message, "body": body + self._events.end()}]


class _Whole:
    """The body is collected, then changed at once."""

    def __init__(self, start: Message, change: Callable[[Message, bytes], Iterable[Message]]) -> None:
        self._start = start
        self._change = change
        self._body = bytearray()
        self._passing = False

    def __call__(self, message: Message) -> Iterable[Message]:
        if message["type"] != "http.response.body" or self._passing:
            return [message]
        self._body += message.get("body", b"")
        if len(self._body) > LARGEST_ANSWER:
            self._passing = True
            start = {**self._start, "headers": [*self._start["headers"], _TOO_LARGE]}
            return [start, {**message, "body": bytes(self._body)}]
        if message.get("more_body", False):
            return []
        return self._change(self._start, bytes(self._body))


def _as_it_is(message: Message) -> Iterable[Message]:
    return [message]


def _nothing(_: Message) -> Iterable[Message]:
    return []


def _whole(start: Message, body: bytes) -> list[Message]:
    length: tuple[Any, Any] = (b"content-length", str(len(body)).encode())
    headers = [*without(start["headers"], {b"content-length"}), length]
    return [{**start, "headers": headers}, {"type": "http.response.body", "body": body}]
