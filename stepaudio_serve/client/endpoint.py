"""What an endpoint says of itself: how much its context holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .connection import http_client, opening_errors, refusal
from .wire import models_url

if TYPE_CHECKING:
    from .wire import Question


def context_of(question: Question) -> int | None:
    """The context of the question's model in tokens, prompt and answer together; None where it is not said.

    Raises `UnhealthyError` when nothing answers, `SettingsError` when the key is wrong, `TimedOutError`.
    """
    url = models_url(question.endpoint)
    with http_client(question, url) as client, opening_errors(question):
        response = client.get(url)
    if response.status_code in {401, 403}:
        raise refusal(question, response)
    try:
        models: list[dict[str, Any]] = response.json()["data"]
        said = {model["id"]: model.get("max_model_len") for model in models}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    length = said.get(question.model)
    return length if isinstance(length, int) and length > 0 else None
