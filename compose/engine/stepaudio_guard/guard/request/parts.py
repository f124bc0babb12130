"""The parts of a message's content: text, and audio in each of the shapes that clients send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ..refusal import bad_request
from .encoded import decode_audio, decode_data_url
from .json_body import describe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..refusal import RefusedError


@dataclass(frozen=True, slots=True)
class Audio:
    """One audio part as it was sent: the file's bytes, and where they stood in the request."""

    data: bytes
    param: str


Part: TypeAlias = str | Audio

_HINTS = frozenset({"format", "mime_type", "type", "detail"})
"""Keys beside the data that only describe it. The bytes say themselves what they are."""


def read_part(part: Any, param: str) -> Part:
    """The text or the audio of one content part. Raises RefusedError, naming `param`."""
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        raise bad_request("invalid_type", f"{param} must be an object with a type, not {describe(part)}.", param)
    kind = part.get("type")
    if not isinstance(kind, str):
        raise _unknown_kind(kind, param)
    if kind in {"text", "input_text"}:
        return _text(part, param)
    if kind in {"input_audio", "audio"}:
        return Audio(_embedded(part, param), param)
    if kind == "audio_url":
        return Audio(_from_url(part, param), param)
    raise _unknown_kind(kind, param)


def _text(part: Mapping[str, Any], param: str) -> str:
    _only(part, frozenset({"type", "text", "value", "cache_control"}), param)
    text = part.get("text", part.get("value"))
    if not isinstance(text, str):
        raise bad_request("invalid_type", f"{param}.text must be a string, not {describe(text)}.", f"{param}.text")
    return text


def _embedded(part: Mapping[str, Any], param: str) -> bytes:
    """The audio of OpenAI's `input_audio`, of the model card's `audio_data`, or of a plain `audio`."""
    _only(part, _HINTS | {"input_audio", "audio_data", "audio"}, param)
    found = [key for key in ("input_audio", "audio_data", "audio") if part.get(key) is not None]
    if len(found) != 1:
        raise _no_audio(param)
    value, inside = part[found[0]], f"{param}.{found[0]}"
    if isinstance(value, dict):
        _only(value, _HINTS | {"data", "url"}, inside)
        held = [key for key in ("data", "url") if value.get(key) is not None]
        if len(held) != 1:
            raise _no_audio(param)
        value, inside = value[held[0]], f"{inside}.{held[0]}"
    return decode_audio(_string(value, inside), inside)


def _from_url(part: Mapping[str, Any], param: str) -> bytes:
    _only(part, _HINTS | {"audio_url"}, param)
    value, inside = part.get("audio_url"), f"{param}.audio_url"
    if isinstance(value, dict):
        _only(value, _HINTS | {"url"}, inside)
        value, inside = value.get("url"), f"{inside}.url"
    return decode_data_url(_string(value, inside), inside)


def _string(value: Any, param: str) -> str:
    if not isinstance(value, str):
        raise bad_request("invalid_type", f"{param} must be a string, not {describe(value)}.", param)
    return value


def _only(value: Mapping[str, Any], known: frozenset[str], param: str) -> None:
    """Raise RefusedError where `value` has a key that is not `known`, unless it is null."""
    for key, item in value.items():
        if key not in known and item is not None:
            raise bad_request(
                "unknown_field",
                f"{param} has the key {key[:64]!r}, which this server does not know; known are "
                f"{', '.join(sorted(known))}.",
                param,
            )


def _no_audio(param: str) -> RefusedError:
    return bad_request(
        "audio_missing",
        f"{param} holds no audio, or more than one; write "
        '{"type": "input_audio", "input_audio": {"data": "<base64 of the file>", "format": "wav"}}.',
        param,
    )


def _unknown_kind(kind: Any, param: str) -> RefusedError:
    shown = repr(kind[:64]) if isinstance(kind, str) else describe(kind)
    return bad_request(
        "unsupported_part",
        f"{param} is of the type {shown}; the model takes text and audio alone: parts of the type text, input_audio "
        "or audio_url.",
        param,
    )
