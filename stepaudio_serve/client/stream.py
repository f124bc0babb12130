"""Asking an endpoint and reading its answer as it arrives."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
from httpx_sse import EventSource, SSEError

from ..errors import StepAudioError, UnhealthyError
from .answer import Answer, Finish, separate, whole
from .characters import not_utf8, well_formed_parts
from .connection import http_client, opening_errors, refusal, timed_out
from .wire import DONE, chat_url, read_chunk, request_body

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from .answer import Delta, Event
    from .wire import Question

NOTICE = "x-stepaudio-notice"
"""The response header in which the guard says what it changed in the request."""


SENT_BYTES = 1 << 18


def ask(question: Question, *, on_event: Callable[[Event], object] | None = None) -> Answer:
    """Ask and wait for the whole answer, showing each event to `on_event` as it arrives.

    Raises what `stream` raises.
    """
    begun = time.monotonic()
    first_token_s: float | None = None
    events = []
    with closing(stream(question)) as arriving:
        for event in arriving:
            if first_token_s is None and not isinstance(event, Finish):
                first_token_s = time.monotonic() - begun
            events.append(event)
            if on_event:
                on_event(event)
    return whole(events, seconds=time.monotonic() - begun, first_token_s=first_token_s)


def stream(question: Question) -> Generator[Event, None, None]:
    """Ask and yield the answer as it arrives, a `Finish` last.

    Closing the generator closes the connection, which stops the engine's work on the answer.

    Raises `SettingsError` when the engine refuses the question or it is not UTF-8, `UnhealthyError` when it does
    not answer, breaks off or reports a failure, `TimedOutError` when `question.timeout` has passed.
    """
    with closing(_received(question)) as parts:
        yield from separate(well_formed_parts(parts))


def _received(question: Question) -> Generator[Delta | Finish, None, None]:
    url = chat_url(question.endpoint)
    deadline = None if question.timeout is None else time.monotonic() + question.timeout
    with http_client(question, url) as client:
        with opening_errors(question):
            response = client.send(_request(client, url, question), stream=True)
        with closing(response), _reading_errors(question, deadline), _shut_at(deadline, response):
            if response.status_code != 200:
                response.read()
                raise refusal(question, response)
            for part in _parts(response):
                yield replace(part, notice=response.headers.get(NOTICE, "")) if isinstance(part, Finish) else part


def _request(client: httpx.Client, url: httpx.URL, question: Question) -> httpx.Request:
    """The question as a request that is sent bit by bit: the HTTP library copies what it sends."""
    text = json.dumps(request_body(question), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        body = text.encode()
    except UnicodeEncodeError as error:
        raise not_utf8(error) from error
    return client.build_request(
        "POST",
        url,
        content=(body[begin : begin + SENT_BYTES] for begin in range(0, len(body), SENT_BYTES)),
        headers={"Content-Type": "application/json", "Content-Length": str(len(body))},
    )


def _parts(response: httpx.Response) -> Iterator[Delta | Finish]:
    reason, usage = None, None
    for event in EventSource(response).iter_sse():
        if event.data == DONE:
            break
        chunk = read_chunk(event.data)
        if chunk.error:
            raise UnhealthyError(
                "The engine failed in the middle of its answer.",
                why=chunk.error,
                fix="stepaudio-serve logs --tail 50",
            )
        reason, usage = chunk.finish_reason or reason, chunk.usage or usage
        yield chunk.delta
    if reason is None:
        raise _broken_off("The stream ended without a finish reason.")
    yield Finish(reason, usage)


@contextmanager
def _shut_at(deadline: float | None, response: httpx.Response) -> Iterator[None]:
    """Cut the connection at the deadline: the HTTP library bounds each read, not the whole answer."""
    if deadline is None:
        yield
        return
    connection = response.extensions["network_stream"].get_extra_info("socket")
    timer = threading.Timer(max(0.0, deadline - time.monotonic()), _shut, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def _reading_errors(question: Question, deadline: float | None) -> Iterator[None]:
    try:
        yield
    except (httpx.RequestError, StepAudioError, ValueError) as error:
        late = deadline is not None and time.monotonic() >= deadline
        words = timed_out(question) if late else _in_words(error, question)
        raise words from error


def _in_words(error: Exception, question: Question) -> StepAudioError:
    if isinstance(error, StepAudioError):
        return error
    if isinstance(error, httpx.TimeoutException):
        return timed_out(question)
    if isinstance(error, SSEError | ValueError):
        return UnhealthyError(
            f"{question.address} does not speak the chat protocol.",
            why=str(error),
            fix=f"curl {question.address}/v1/models",
        )
    return _broken_off(str(error))


def _broken_off(why: str) -> UnhealthyError:
    return UnhealthyError("The engine broke off in the middle of its answer.", why=why, fix="stepaudio-serve status")
