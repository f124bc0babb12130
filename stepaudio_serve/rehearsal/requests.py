"""Requests, read and checked as vLLM does, and the refusals in its words."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .listen import UndecodableError, listen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .listen import Clip


class BadRequestError(ValueError):
    """Answered with `status` and OpenAI's error object; `param` is the field at fault."""

    def __init__(self, message: str, *, status: int = 400, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.param = param


class StreamOptions(BaseModel):
    """What a stream carries besides the text."""

    include_usage: bool = False


class Request(BaseModel):
    """The fields of a chat request that matter here; others are taken, as vLLM takes them."""

    model_config = ConfigDict(extra="allow")

    model: str | None = None
    messages: list[Any]
    tools: list[Any] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    include_stop_str_in_output: bool = False
    n: int | None = 1
    temperature: float | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    chat_template: str | None = None

    @property
    def stop_strings(self) -> list[str]:
        """`stop` as a list, without empty strings."""
        return [word for word in ([self.stop] if isinstance(self.stop, str) else self.stop or []) if word]

    @property
    def token_limit(self) -> int | None:
        """The newer name wins over the older one."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


class Tokenization(BaseModel):
    """What `/tokenize` takes: a prompt, or messages to render."""

    model_config = ConfigDict(extra="allow")

    model: str | None = None
    prompt: str | None = None
    messages: list[Any] | None = None
    add_generation_prompt: bool = True
    return_token_strs: bool | None = Field(default=False)


def read_request(body: Mapping[str, Any]) -> Request:
    """Check a chat request. Raises BadRequestError."""
    try:
        request = Request.model_validate(body)
    except ValidationError as error:
        raise invalid(error) from None
    n = 1 if request.n is None else request.n
    if n < 1:
        raise BadRequestError(f"n must be at least 1, got {n}.")
    if request.temperature is not None and request.temperature < 0:
        raise _bad_value("temperature", "must be non-negative", request.temperature)
    if n > 1 and request.temperature == 0:
        raise BadRequestError(f"n must be 1 when using greedy sampling, got {n}.")
    if request.token_limit is not None and request.token_limit < 1:
        raise _bad_value("max_tokens", "must be at least 1", request.token_limit)
    if request.stream_options and not request.stream:
        raise BadRequestError("Stream options can only be defined when `stream=True`.", param="stream_options")
    return request


def invalid(error: ValidationError) -> BadRequestError:
    """A field of the wrong type, worded as vLLM does."""
    faults = error.errors(include_url=False, include_context=False)
    places = [".".join(map(str, ("body", *fault["loc"]))) for fault in faults]
    lines = "\n".join(
        f"  {{'type': {fault['type']!r}, 'loc': {place!r}, 'msg': {fault['msg']!r}}}"
        for fault, place in zip(faults, places, strict=True)
    )
    heading = "1 validation error" if len(faults) == 1 else f"{len(faults)} validation errors"
    return BadRequestError(f"{heading}:\n{lines}", param=places[0])


def clips_in(messages: Sequence[Any]) -> list[Clip]:
    """Decode and measure every audio part of a conversation whose shape was checked. Raises BadRequestError."""
    return [_decoded(part) for part in _audio_parts(messages)]


def token_budget(request: Request, prompt_tokens: int, max_model_len: int) -> int:
    """How many tokens may be answered. Raises BadRequestError when prompt and answer exceed the context."""
    if prompt_tokens >= max_model_len:
        raise BadRequestError(
            f"This model's maximum context length is {max_model_len} tokens. However, your request has "
            f"{prompt_tokens} input tokens. Please reduce the length of the input messages.",
            param="input_tokens",
        )
    room = max_model_len - prompt_tokens
    limit = request.token_limit
    if limit is not None and limit > room:
        raise BadRequestError(
            f"'max_tokens' or 'max_completion_tokens' is too large: {limit}. This model's maximum context "
            f"length is {max_model_len} tokens and your request has {prompt_tokens} input tokens "
            f"({limit} > {max_model_len} - {prompt_tokens}).",
            param="max_tokens",
        )
    return limit or room


def _bad_value(name: str, rule: str, value: float) -> BadRequestError:
    return BadRequestError(f"{name} {rule}, got {value}. (parameter={name}, value={value})", param=name)


def _audio_parts(messages: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    for message in messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and ("input_audio" in part or "audio_url" in part):
                yield part


def _decoded(part: Mapping[str, Any]) -> Clip:
    data = _from_url(part["audio_url"]) if "audio_url" in part else _from_input(part["input_audio"])
    try:
        clip = listen(data)
    except UndecodableError:
        raise BadRequestError("Invalid or unsupported audio file: libsndfile reads WAV, FLAC, OGG and MP3.") from None
    return clip


def _from_input(audio: Mapping[str, str]) -> bytes:
    if audio.get("format") not in {"wav", "mp3"}:
        raise BadRequestError(
            f"input_audio.format must be 'wav' or 'mp3' (the bytes may be FLAC or OGG), got {audio.get('format')!r}.",
            param="input_audio.format",
        )
    return _from_base64(audio["data"])


def _from_url(audio: str | Mapping[str, str]) -> bytes:
    url = audio if isinstance(audio, str) else audio["url"]
    scheme, _, rest = url.partition(":")
    if scheme != "data":
        raise BadRequestError(f"audio_url: a rehearsal fetches nothing, send a data: URL instead of {scheme}:.")
    media_type, comma, data = rest.partition(",")
    if not comma or not media_type.endswith(";base64"):
        raise BadRequestError("audio_url: only base64 data URLs are supported for now.")
    return _from_base64(data)


def _from_base64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequestError(f"The audio is not base64: {error}") from None
    if not data:
        raise BadRequestError("The audio is empty.")
    return data
