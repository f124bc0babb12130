"""How an endpoint is reached, and what it means when it cannot be, or refuses."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from ..errors import SettingsError, StepAudioError, TimedOutError, UnhealthyError
from .wire import engine_error, is_this_machine, request_headers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .wire import Question

CONNECT_SECONDS = 5.0
"""A server that listens accepts at once; an address that leads nowhere should not take long to say so."""


TOO_MUCH = re.compile(
    r"too[_ ](much|long|many|large)|context[_ ]length|maximum model length|longer than the maximum", re.IGNORECASE
)
"""What the guard's codes and the engine's own words have in common where a request holds more than they take."""


class TooMuchError(SettingsError):
    """The request holds more than the endpoint takes at a time: with less audio it may be answered."""

    code = "too-much"


def http_client(question: Question, url: httpx.URL) -> httpx.Client:
    """A client for one endpoint, with the question's key and patience."""
    return httpx.Client(
        headers=request_headers(question),
        timeout=httpx.Timeout(question.timeout, connect=CONNECT_SECONDS),
        trust_env=not is_this_machine(url.host),
        verify=url.scheme == "https",  # certificates take 0.2 s to load
    )


@contextmanager
def opening_errors(question: Question) -> Iterator[None]:
    """Errors before the first byte of a response, in words."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        why = str(error) or f"No connection within {CONNECT_SECONDS:g} s."
        raise UnhealthyError(
            f"Nothing answers at {question.address}.", why=why, fix="stepaudio-serve status"
        ) from error
    except httpx.TimeoutException as error:
        raise timed_out(question) from error
    except httpx.TransportError as error:
        raise UnhealthyError(
            f"{question.address} closed the connection without an answer.",
            why=f"An engine that is still loading does that. ({error})",
            fix="stepaudio-serve wait",
        ) from error


def refusal(question: Question, response: httpx.Response) -> StepAudioError:
    """What an error response, read whole, means."""
    status, (code, why) = response.status_code, engine_error(response.text)
    if status == 401:
        return SettingsError("The endpoint wants its API key.", why=why, fix="export STEPAUDIO_API_KEY=...")
    if status == 404:
        return SettingsError(
            f"The endpoint does not serve {question.model!r}.",
            why=why,
            fix=f"curl {question.address}/v1/models",
        )
    if status == 413 or (status == 400 and TOO_MUCH.search(f"{code} {why}")):
        return TooMuchError(
            f"That is more than the endpoint takes at a time (HTTP {status}).",
            why=why,
            fix="less audio, or a shorter question",
        )
    if 400 <= status < 500 and status not in {408, 429}:
        return SettingsError(f"The engine refuses the question (HTTP {status}).", why=why)
    return UnhealthyError(f"The engine cannot answer (HTTP {status}).", why=why, fix="stepaudio-serve logs --tail 50")


def timed_out(question: Question) -> TimedOutError:
    """The question's patience is over."""
    return TimedOutError(
        f"No whole answer within {question.timeout:g} s.",
        why="The engine is slow, busy, or hangs.",
        fix="stepaudio-serve status",
    )
