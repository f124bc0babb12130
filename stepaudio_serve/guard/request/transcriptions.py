"""`/v1/audio/transcriptions`, as OpenAI's clients send it, made a question of a conversation.

The words of the question are data, in transcription.json.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from ..prepared import Transcript, TranscriptFormat
from ..refusal import bad_request
from .chat import Chat, check_text, fill_in
from .fields import Field, check_value
from .json_body import finite
from .messages import Message
from .multipart import read_boundary, split_form
from .parts import Audio
from .special_tokens import neutralise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..config import GuardConfig, Limits
    from .multipart import FormPart

PATH = "/v1/audio/transcriptions"
WORDS_FILE = Path(__file__).with_name("transcription.json")
_LANGUAGE = re.compile(r"[^\W\d_]{2,}(?:[ -][^\W_]+){0,3}")
"""A code (`de`, `pt-BR`) or a name (`German`); it becomes part of the question, so nothing else passes."""


def read_transcription(content_type: str, body: bytes, config: GuardConfig) -> Chat:
    """The question that the form in `body` asks. Raises RefusedError."""
    form = split_form(body, read_boundary(content_type))
    values = _values(form, config.limits)
    wanted = values.pop("response_format", "json")
    if wanted not in get_args(TranscriptFormat):
        why = _words()["refused"]["response_format"].format(value=repr(wanted))
        raise bad_request("unsupported_format", f"response_format: {why}.", "response_format")
    _check_stream(values.pop("stream", "false"))
    language, prompt = values.pop("language", None), values.pop("prompt", None)
    if language is not None and not _LANGUAGE.fullmatch(language):
        raise bad_request("invalid_language", "language must be a code like 'de', or a name like 'German'.", "language")
    check_text(len(prompt or ""), config.limits)
    messages = [Message({"role": "user"}, (Audio(_file(form), "file"), neutralise(_question(language, prompt))))]
    fill_in(values, config)
    transcript = Transcript(cast("TranscriptFormat", wanted), 0.0, language)
    return Chat(values, messages, "opened", transcript)


def _values(form: Sequence[FormPart], limits: Limits) -> dict[str, Any]:
    """The fields beside the file, each of its type; an empty one counts as not there."""
    refused, fields = _words()["refused"], _fields()
    values: dict[str, Any] = {}
    for part in form:
        name = part.name.removesuffix("[]")
        if name == "file":
            continue
        if name not in fields:
            why = refused.get(name, f"this server does not know it; known are file, {', '.join(sorted(fields))}")
            raise bad_request("unsupported_field", f"{name[:64]}: {why}.", name[:64])
        if name in values:
            raise bad_request("duplicate_field", f"{name} is there twice; send it once.", name)
        if part.data:
            values[name] = check_value(_value(part, fields[name]), fields[name], name, limits)
    return values


def _value(part: FormPart, field: Field) -> str | float:
    try:
        text = part.data.decode()
        return finite(text) if field.type == "number" else text
    except ValueError:
        kind = "a number" if field.type == "number" else "text in UTF-8"
        raise bad_request("invalid_type", f"{part.name} must be {kind}.", part.name) from None


def _file(form: Sequence[FormPart]) -> bytes:
    files = [part for part in form if part.name == "file"]
    if len(files) != 1:
        held = "is missing" if not files else "is there twice"
        raise bad_request("invalid_file", f"file {held}; send one audio file as the form's field 'file'.", "file")
    return files[0].data


def _check_stream(value: str) -> None:
    if value.strip().lower() not in {"false", "0"}:
        raise bad_request("unsupported_field", f"stream: {_words()['refused']['stream']}.", "stream")


def _question(language: str | None, prompt: str | None) -> str:
    words = _words()
    sentences: list[str] = [words["question"]]
    if language is not None:
        sentences.append(words["language"].format(language=language))
    if prompt:
        sentences.append(words["prompt"].format(prompt=prompt))
    return "\n".join(sentences)


@cache
def _words() -> Mapping[str, Any]:
    words: Mapping[str, Any] = json.loads(WORDS_FILE.read_text(encoding="utf-8"))
    return words


@cache
def _fields() -> Mapping[str, Field]:
    return {name: Field(**values) for name, values in _words()["fields"].items()}
