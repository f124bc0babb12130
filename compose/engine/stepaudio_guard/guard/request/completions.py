"""Requests of plain text, without a conversation: `/v1/completions` and `/tokenize`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..refusal import bad_request
from .chat import check_stream_options, fill_in, read_conversation
from .fields import check_fields, route_rules
from .json_body import describe
from .messages import as_json
from .special_tokens import neutralise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..config import GuardConfig, Limits

COMPLETIONS = "/v1/completions"
TOKENIZE = "/tokenize"


def read_completion(request: Mapping[str, Any], config: GuardConfig) -> dict[str, Any]:
    """The request for the engine, its prompts harmless. Raises RefusedError."""
    fields = check_fields(request, route_rules(COMPLETIONS), config.limits)
    if "prompt" not in fields:
        raise bad_request("missing_field", "prompt is missing: the text to go on from.", "prompt")
    prompt = fields["prompt"]
    texts = _texts([prompt] if isinstance(prompt, str) else prompt, config.limits)
    fields["prompt"] = texts[0] if isinstance(prompt, str) else texts
    check_stream_options(fields)
    fill_in(fields, config)
    return fields


def read_tokenization(request: Mapping[str, Any], config: GuardConfig) -> dict[str, Any]:
    """The request for the engine: a prompt or messages of text. Raises RefusedError."""
    fields = check_fields(request, route_rules(TOKENIZE), config.limits)
    if ("prompt" in fields) is ("messages" in fields):
        raise bad_request("invalid_combination", "Send either prompt or messages to count the tokens of.", "prompt")
    if "prompt" in fields:
        fields["prompt"] = _texts([fields["prompt"]], config.limits)[0]
        return fields
    messages = read_conversation(fields, config.limits)
    for message in messages:
        for audio in message.audio:
            raise bad_request(
                "audio_not_counted",
                f"{audio.param}: only text is counted here; audio takes 12.5 tokens a second.",
                audio.param,
            )
    fields["messages"] = [as_json(message, {}) for message in messages]
    return fields


def _texts(values: Sequence[Any], limits: Limits) -> list[str]:
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise bad_request(
                "unsupported_prompt",
                f"prompt[{index}] is {describe(value)}; this server takes text alone, no token ids: they can stand "
                "for audio that is not there.",
                "prompt",
            )
    length = sum(map(len, values))
    if length > limits.text_characters:
        raise bad_request(
            "text_too_long",
            f"prompt holds {length} characters; this server takes {limits.text_characters} in one request. Shorten it.",
            "prompt",
        )
    return [neutralise(value) for value in values]
