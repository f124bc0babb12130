"""What the guard is told, by environment variables of the server process."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from .errors import GuardConfigError
from .keys import ApiKeys, parse_keys

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "STEPAUDIO_GUARD_"
API_KEY_FILE = f"{PREFIX}API_KEY_FILE"
"""Names the file with the API keys. A file, since values of the environment show in `docker inspect`."""

METRICS = f"{PREFIX}METRICS"
"""`1` (the default) serves /metrics, `0` does not."""

STOP_TOKEN_IDS = f"{PREFIX}STOP_TOKEN_IDS"
"""Ids of the tokens that end an answer, separated by commas, for requests that name none."""

SAMPLING = f"{PREFIX}SAMPLING"
"""A JSON object of sampling parameters for requests that are silent about them."""

SAMPLING_NAMES = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "presence_penalty",
        "frequency_penalty",
        "repetition_penalty",
    }
)
"""What SAMPLING may set: numbers that every route that answers takes."""

_MOST_DIGITS = 16
"""Of a whole number in the environment; Python itself gives up at 4300."""

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one client, and all of them together, may ask of the engine.

    None for `audio_seconds` and `tokens` means: as much as the engine's context holds.
    """

    request_bytes: int = 64 * _MIB
    """Bytes of one request's body."""

    bytes_in_flight: int = 512 * _MIB
    """Bytes of all bodies that are being received or prepared."""

    audio_seconds: float | None = None
    """Seconds of audio in one request."""

    audio_parts: int = 64
    """Clips in one request, counted after cutting."""

    text_characters: int = 200_000
    """Characters of text in one request."""

    tokens: int | None = None
    """Most tokens of an answer; a higher `max_tokens` is lowered."""

    choices: int = 4
    """Most answers to one request (`n`)."""

    concurrent_requests: int = 128
    """Requests at a time; the engine queues those beyond its own `--max-num-seqs`."""

    queued_decodes: int = 64
    """Clips that wait for, or are in, decoding."""

    body_timeout: float = 120.0
    """Seconds within which a request's body must have arrived."""

    decode_timeout: float = 20.0
    """Seconds of work that decoding one clip may take."""


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """What the door asks for, and how requests and answers are treated.

    `keys` is None where no key is needed; `metrics` opens /metrics, `page` the page at `/`;
    `separate_thinking` tells thinking from answer; `cors_origins` are the origins whose pages may call
    (`*` for all); `stop_token_ids` and `sampling` fill in what a request leaves out.
    """

    keys: ApiKeys | None = None
    metrics: bool = True
    page: bool = True
    separate_thinking: bool = True
    cors_origins: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    sampling: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    limits: Limits = field(default_factory=Limits)


def read_config(environment: Mapping[str, str]) -> GuardConfig:
    """The configuration in `environment`, with the key file read.

    Raises GuardConfigError where a variable has no meaning, or the key file cannot be read or holds no key:
    a variable that is set but empty asks for a key that is not there.
    """
    key_file = environment.get(API_KEY_FILE)
    words = environment.get(f"{PREFIX}CORS_ORIGINS", "").split(",")
    return GuardConfig(
        keys=None if key_file is None else _read_keys(key_file),
        metrics=_switch(environment, "METRICS"),
        page=_switch(environment, "PAGE"),
        separate_thinking=_switch(environment, "SEPARATE_THINKING"),
        cors_origins=tuple(word.strip() for word in words if word.strip()),
        stop_token_ids=_token_ids(environment.get(STOP_TOKEN_IDS, "")),
        sampling=_sampling(environment.get(SAMPLING, "{}")),
        limits=_limits(environment),
    )


def _limits(environment: Mapping[str, str]) -> Limits:
    """The limits, each from its own variable: `request_bytes` from STEPAUDIO_GUARD_MAX_REQUEST_BYTES and so on."""
    default = Limits()
    return Limits(
        request_bytes=_count(environment, "MAX_REQUEST_BYTES", default.request_bytes),
        bytes_in_flight=_count(environment, "MAX_BYTES_IN_FLIGHT", default.bytes_in_flight),
        audio_seconds=_number(environment, "MAX_AUDIO_SECONDS", default.audio_seconds),
        audio_parts=_count(environment, "MAX_AUDIO_PARTS", default.audio_parts),
        text_characters=_count(environment, "MAX_TEXT_CHARACTERS", default.text_characters),
        tokens=_count(environment, "MAX_TOKENS", default.tokens),
        choices=_count(environment, "MAX_CHOICES", default.choices),
        concurrent_requests=_count(environment, "MAX_CONCURRENT_REQUESTS", default.concurrent_requests),
        queued_decodes=_count(environment, "MAX_QUEUED_DECODES", default.queued_decodes),
        body_timeout=_number(environment, "BODY_TIMEOUT", default.body_timeout),
        decode_timeout=_number(environment, "DECODE_TIMEOUT", default.decode_timeout),
    )


def _read_keys(path: str) -> ApiKeys:
    if not path:
        raise GuardConfigError(f"{API_KEY_FILE} is empty; name the key file, or unset it to ask for no key")
    try:
        return parse_keys(Path(path).read_bytes())
    except OSError as error:
        raise GuardConfigError(
            f"the API key file {path} ({API_KEY_FILE}) cannot be read: {error.strerror or error}; "
            "the server's user must be able to read it"
        ) from error
    except GuardConfigError as error:
        raise GuardConfigError(f"the API key file {path} ({API_KEY_FILE}) cannot be used: {error}") from error


def _switch(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(PREFIX + name, "1")
    if value not in {"0", "1"}:
        raise GuardConfigError(f"{PREFIX}{name} is {value!r}; allowed are 0 and 1")
    return value == "1"


_Count = TypeVar("_Count", int, "int | None")
_Number = TypeVar("_Number", float, "float | None")


def _count(environment: Mapping[str, str], name: str, default: _Count) -> _Count | int:
    text = environment.get(PREFIX + name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and 0 < int(text) < 1 << 53):
        raise GuardConfigError(f"{PREFIX}{name} is {text!r}; allowed are whole numbers from 1")
    return int(text)


def _number(environment: Mapping[str, str], name: str, default: _Number) -> _Number | float:
    text = environment.get(PREFIX + name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise GuardConfigError(f"{PREFIX}{name} is {text!r}; allowed are numbers above 0")
    return value


def _token_ids(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not all(word.isascii() and word.isdigit() and len(word) <= _MOST_DIGITS for word in words):
        raise GuardConfigError(f"{STOP_TOKEN_IDS} is {text!r}; allowed are token ids separated by commas")
    return tuple(int(word) for word in words)


def _sampling(text: str) -> Mapping[str, float]:
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not (isinstance(values, dict) and all(map(_is_finite, values.values()))):
        raise GuardConfigError(f"{SAMPLING} is {text!r}; allowed is a JSON object of numbers")
    if unknown := sorted(values.keys() - SAMPLING_NAMES):
        known = ", ".join(sorted(SAMPLING_NAMES))
        raise GuardConfigError(f"{SAMPLING} is {text!r}: {', '.join(unknown)} cannot be set; allowed are {known}")
    return MappingProxyType(values)


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -math.inf < value < math.inf
