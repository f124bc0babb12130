"""Asking an endpoint and reading its answer as it arrives."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import httpx
from httpx_sse import EventSource, SSEError

from ..errors import SettingsError, StepAudioError, TimedOutError, UnhealthyError
from .answer import Answer, Finish, separate, whole
from .wire import DONE, chat_url, engine_message, is_this_machine, read_chunk, request_body, request_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from .answer import Delta, Event
    from .wire import Question

CONNECT_SECONDS = 5.0
"""A server that listens accepts at once; an address that leads nowhere should not take long to say so."""


def ask(question: Question, *, on_event: Callable[[Event], object] | None = None) -> Answer:
    """Ask and wait for the whole answer, showing each event to `on_event` as it arrives.

    Raises what `stream` raises.
    """
    begun = time.monotonic()
    events = []
    with closing(stream(question)) as arriving:
        for event in arriving:
            events.append(event)
            if on_event:
                on_event(event)
    return whole(events, seconds=time.monotonic() - begun)


def stream(question: Question) -> Generator[Event, None, None]:
    """Ask and yield the answer as it arrives, a `Finish` last.

    Closing the generator closes the connection, which stops the engine's work on the answer.

    Raises `SettingsError` when the engine refuses the question, `UnhealthyError` when it does not answer, breaks
    off or reports a failure, `TimedOutError` when `question.timeout` has passed.
    """
    with closing(_received(question)) as parts:
        yield from separate(parts)


def _received(question: Question) -> Generator[Delta | Finish, None, None]:
    url = chat_url(question.endpoint)
    deadline = None if question.timeout is None else time.monotonic() + question.timeout
    with _client(question, url) as client:
        with _opening_errors(question):
            request = client.build_request("POST", url, json=request_body(question))
            response = client.send(request, stream=True)
        with closing(response), _reading_errors(question, deadline), _shut_at(deadline, response):
            if response.status_code != 200:
                response.read()
                raise _refusal(question, response)
            yield from _parts(response)


def _client(question: Question, url: httpx.URL) -> httpx.Client:
    return httpx.Client(
        headers=request_headers(question),
        timeout=httpx.Timeout(question.timeout, connect=CONNECT_SECONDS),
        trust_env=not is_this_machine(url.host),
        verify=url.scheme == "https",  # certificates take 0.2 s to load
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
def _opening_errors(question: Question) -> Iterator[None]:
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        why = str(error) or f"No connection within {CONNECT_SECONDS:g} s."
        raise UnhealthyError(
            f"Nothing answers at {question.endpoint}.", why=why, fix="stepaudio-serve status"
        ) from error
    except httpx.TimeoutException as error:
        raise _timed_out(question) from error
    except httpx.TransportError as error:
        raise UnhealthyError(
            f"{question.endpoint} closed the connection without an answer.",
            why=f"An engine that is still loading does that. ({error})",
            fix="stepaudio-serve wait",
        ) from error


@contextmanager
def _reading_errors(question: Question, deadline: float | None) -> Iterator[None]:
    try:
        yield
    except (httpx.RequestError, StepAudioError, ValueError) as error:
        late = deadline is not None and time.monotonic() >= deadline
        words = _timed_out(question) if late else _in_words(error, question)
        raise words from error


def _in_words(error: Exception, question: Question) -> StepAudioError:
    if isinstance(error, StepAudioError):
        return error
    if isinstance(error, httpx.TimeoutException):
        return _timed_out(question)
    if isinstance(error, SSEError | ValueError):
        return UnhealthyError(
            f"{question.endpoint} does not speak the chat protocol.",
            why=str(error),
            fix=f"curl {question.endpoint}/v1/models",
        )
    return _broken_off(str(error))


def _refusal(question: Question, response: httpx.Response) -> StepAudioError:
    status, why = response.status_code, engine_message(response.text)
    if status in {401, 403}:
        return SettingsError("The endpoint wants its API key.", why=why, fix="export STEPAUDIO_API_KEY=...")
    if status == 404:
        return SettingsError(
            f"The endpoint does not serve {question.model!r}.",
            why=why,
            fix=f"curl {question.endpoint}/v1/models",
        )
    if 400 <= status < 500 and status != 429:
        return SettingsError(f"The engine refuses the question (HTTP {status}).", why=why)
    return UnhealthyError(f"The engine cannot answer (HTTP {status}).", why=why, fix="stepaudio-serve logs --tail 50")


def _broken_off(why: str) -> UnhealthyError:
    return UnhealthyError("The engine broke off in the middle of its answer.", why=why, fix="stepaudio-serve status")


def _timed_out(question: Question) -> TimedOutError:
    return TimedOutError(
        f"No whole answer within {question.timeout:g} s.",
        why="The engine is slow, busy, or hangs.",
        fix="stepaudio-serve status",
    )
