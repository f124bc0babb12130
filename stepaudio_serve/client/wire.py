"""The chat endpoint's wire format: a question as a request body, streamed chunks and errors as values."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from ..errors import SettingsError
from .answer import Delta

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .conversation import Message

Value = TypeVar("Value")

DONE = "[DONE]"
_HOST_AND_PORT = re.compile(r"[\w.-]+(:\d+)?(/v1)?/?")
_USER_AND_PASSWORD = re.compile(r"^(\w+://)?[^/?#]*@")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of whom.

    `endpoint` is the server's address, with or without `/v1`. `max_tokens` and `temperature` are the engine's
    own choice when None. `timeout` bounds the whole answer in seconds; None waits as long as it takes.
    """

    endpoint: str = field(repr=False)
    model: str
    messages: Sequence[Message]
    api_key: str | None = field(default=None, repr=False)
    max_tokens: int | None = None
    temperature: float | None = None
    timeout: float | None = None

    @property
    def address(self) -> str:
        """The endpoint as it may be printed: without a user's name and password."""
        return without_password(self.endpoint)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One streamed event; `error` is the engine's message where it reports a failure in mid-stream."""

    delta: Delta
    finish_reason: str | None = None
    usage: Mapping[str, object] | None = None
    error: str | None = None


def chat_url(endpoint: str) -> httpx.URL:
    """Where the endpoint takes chats. Raises `SettingsError` when it is no http(s) address."""
    return _route(endpoint, "chat/completions")


def models_url(endpoint: str) -> httpx.URL:
    """Where the endpoint says what it serves. Raises `SettingsError` when it is no http(s) address."""
    return _route(endpoint, "models")


def _route(endpoint: str, route: str) -> httpx.URL:
    try:
        url = httpx.URL(endpoint)
    except httpx.InvalidURL as error:
        raise _no_address(endpoint, "It cannot be read." if "@" in endpoint else str(error)) from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise _no_address(endpoint, "It does not begin with http:// or https:// and a host.")
    if url.query or url.fragment:
        plain = without_password(endpoint).partition("?")[0].partition("#")[0]
        raise _no_address(endpoint, "It has a query or a fragment behind its path.", fix=plain)
    base = url.path.rstrip("/").removesuffix("/v1")
    return url.copy_with(path=f"{base}/v1/{route}")


def without_password(endpoint: str) -> str:
    """An address without a user's name and password."""
    return _USER_AND_PASSWORD.sub(r"\1", endpoint)


def is_this_machine(host: str) -> bool:
    """Whether the host is loopback, so that no proxy may stand between."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def request_headers(question: Question) -> dict[str, str]:
    """The headers that carry the key. Raises `SettingsError` for a key that no header can hold."""
    key = question.api_key
    if not key:
        return {}
    if not (key.isascii() and key.isprintable()):
        raise SettingsError(
            "The API key cannot be sent.",
            why="It holds a line break or a character outside ASCII.",
            fix="export STEPAUDIO_API_KEY=...",
        )
    return {"Authorization": f"Bearer {key}"}


def request_body(question: Question) -> dict[str, object]:
    """The request as JSON; what the question leaves open is left to the engine."""
    body: dict[str, object] = {
        "model": question.model,
        "messages": list(question.messages),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    choices = {"max_tokens": question.max_tokens, "temperature": question.temperature}
    return body | {name: value for name, value in choices.items() if value is not None}


def read_chunk(data: str) -> Chunk:
    """One event's data. Raises `ValueError` when it is no chat chunk.

    The engine sends null for what does not apply and keys of its own (`tts_content`): all are ignored. Thinking
    that the engine told apart is `reasoning_content` in the model authors' vLLM, `reasoning` in later ones.
    """
    try:
        event: Any = json.loads(data)
    except RecursionError as error:
        raise ValueError(f"not a chat chunk: {data[:80]}") from error
    try:
        if event.get("error") or event.get("object") == "error":
            return Chunk(Delta(), error=_error_message(event) or data)
        choice: dict[str, Any] = next(iter(event["choices"]), {})
        delta = choice.get("delta") or {}
        return Chunk(
            Delta(
                content=_of_type(str, delta.get("content")) or "",
                reasoning=_of_type(str, delta.get("reasoning_content") or delta.get("reasoning")) or "",
            ),
            finish_reason=_of_type(str, choice.get("finish_reason")),
            usage=_of_type(dict, event.get("usage")),
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a chat chunk: {data[:80]}") from error


def _of_type(kind: type[Value], value: object) -> Value | None:
    """The value, where there is one. Raises `TypeError` when it is of another type."""
    if value is None or isinstance(value, kind):
        return value
    raise TypeError(f"{kind.__name__} expected")


def engine_error(body: str) -> tuple[str, str]:
    """An error response's code, and what it says in the engine's own words, shortened to 500 characters."""
    try:
        said: Any = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        return "", body.strip()[:500]
    error = said.get("error") or said
    code = error.get("code") if isinstance(error, dict) else None
    return str(code or ""), (_error_message(said) or body.strip())[:500]


def _error_message(said: dict[str, Any]) -> str:
    """vLLM nests it under `error`, its older versions do not, FastAPI says `detail`."""
    error = said.get("error") or said
    if not isinstance(error, dict):
        return str(error)
    return str(error.get("message") or error.get("detail") or "")


def _no_address(endpoint: str, why: str, fix: str = "") -> SettingsError:
    shown = endpoint.rpartition("@")[2]
    meant = endpoint if _HOST_AND_PORT.fullmatch(endpoint) else "127.0.0.1:9999"
    return SettingsError(f"{shown!r} is not an endpoint.", why=why, fix=fix or f"http://{meant}")
