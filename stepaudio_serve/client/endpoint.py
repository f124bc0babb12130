"""What an endpoint says of itself: how much its context holds."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from ..errors import TimedOutError
from .connection import CONNECT_SECONDS, http_client, opening_errors, refusal
from .wire import models_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .wire import Question


PATIENCE_SECONDS = 10.0
"""What an engine serves it knows without its model: a busy one says it at once, too."""


def context_of(question: Question, *, patience: float = PATIENCE_SECONDS) -> int | None:
    """The context of the question's model in tokens, prompt and answer together; None where it is not said.

    Raises `UnhealthyError` when nothing answers, `SettingsError` when the key is wrong, `TimedOutError` when nothing
    is said for `patience` seconds.
    """
    url = models_url(question.endpoint)
    with http_client(question, url) as client, opening_errors(question), _said_within(patience, question):
        response = client.get(url, timeout=httpx.Timeout(patience, connect=CONNECT_SECONDS))
    if response.status_code in {401, 403}:
        raise refusal(question, response)
    try:
        models: list[dict[str, Any]] = response.json()["data"]
        said = {model["id"]: model.get("max_model_len") for model in models}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    length = said.get(question.model)
    return length if isinstance(length, int) and length > 0 else None


@contextmanager
def _said_within(seconds: float, question: Question) -> Iterator[None]:
    try:
        yield
    except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
        raise TimedOutError(
            f"{question.address} takes connections and says nothing.",
            why=f"No answer to /v1/models within {seconds:g} s: it hangs, or is something else.",
            fix="stepaudio-serve status",
        ) from error
