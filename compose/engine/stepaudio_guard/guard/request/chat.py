"""A chat request read and checked: what will be asked of the engine, with the audio still as it was sent."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..refusal import bad_request
from .fields import check_fields, route_rules
from .json_body import describe
from .messages import Message, read_messages, text_alone, text_length
from .tools import read_tool_choice, read_tools

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..config import GuardConfig, Limits
    from ..prepared import ThinkingMode, Transcript
    from .parts import Audio

PATH = "/v1/chat/completions"
_STREAM_OPTIONS = frozenset({"include_usage", "continuous_usage_stats"})
_THINK_MARK = re.compile(r"</?think>")


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation to be answered; `fields` are those of the request but `messages`."""

    fields: Mapping[str, Any]
    messages: Sequence[Message]
    thinking: ThinkingMode = "raw"
    transcript: Transcript | None = None

    @property
    def audio(self) -> list[Audio]:
        """Every audio part, in order."""
        return [audio for message in self.messages for audio in message.audio]

    @property
    def stream(self) -> bool:
        """Whether the answer comes in pieces."""
        return bool(self.fields.get("stream", False))

    @property
    def text_request(self) -> dict[str, Any]:
        """What `/tokenize` is asked to count the text of the prompt."""
        counted = ("model", "tools", "add_generation_prompt", "continue_final_message", "add_special_tokens")
        fields = {name: self.fields[name] for name in counted if name in self.fields}
        return {**fields, "messages": [text_alone(message) for message in self.messages]}


def read_chat(request: Mapping[str, Any], config: GuardConfig) -> Chat:
    """The chat in a `/v1/chat/completions` request. Raises RefusedError."""
    fields = check_fields(request, route_rules(PATH), config.limits)
    messages = read_conversation(fields, config.limits)
    separate = fields.pop("separate_reasoning", True) and config.separate_thinking
    if "tool_choice" in fields:
        fields["tool_choice"] = read_tool_choice(fields["tool_choice"])
        if "tools" not in fields and fields["tool_choice"] in ("auto", "none"):
            del fields["tool_choice"]
    check_stream_options(fields)
    fill_in(fields, config)
    return Chat(fields, messages, _thinking(fields, messages) if separate else "raw")


def read_conversation(fields: dict[str, Any], limits: Limits) -> list[Message]:
    """Take `messages` out of `fields` and check them together with the fields that say how they are rendered.

    Raises RefusedError.
    """
    if "messages" not in fields:
        raise bad_request("missing_field", "messages is missing: the conversation to answer.", "messages")
    check_text(text_length(fields["messages"], fields.get("tools")), limits)
    messages = read_messages(fields.pop("messages"), limits)
    if "tools" in fields:
        fields["tools"] = read_tools(fields["tools"])
        if not fields["tools"]:
            del fields["tools"]
    _check_continuation(fields, messages)
    return messages


def check_text(length: int, limits: Limits) -> None:
    """Raise RefusedError where the text that reaches the prompt is longer than allowed."""
    if length > limits.text_characters:
        raise bad_request(
            "text_too_long",
            f"The request holds {length} characters of text for the model; this server takes {limits.text_characters} "
            "in one. Shorten it, or ask in several requests.",
            "messages",
        )


def prompt_texts(fields: Mapping[str, Any], messages: Sequence[Message]) -> list[str]:
    """Every text that the template writes into the prompt."""
    texts = [part for message in messages for part in message.parts if isinstance(part, str)]
    texts += [json.dumps(message.fields, ensure_ascii=False) for message in messages if len(message.fields) > 1]
    if "tools" in fields:
        texts.append(json.dumps(fields["tools"], ensure_ascii=False))
    return texts


def check_stream_options(fields: dict[str, Any]) -> None:
    """Leave of `stream_options` what the engine takes. Raises RefusedError for what is not true or false."""
    options = fields.pop("stream_options", None)
    if options is None or not fields.get("stream"):
        return
    passed = {}
    for name, value in options.items():
        if name in _STREAM_OPTIONS and value is not None:
            if not isinstance(value, bool):
                param = f"stream_options.{name}"
                raise bad_request("invalid_type", f"{param} must be true or false, not {describe(value)}.", param)
            passed[name] = value
        elif name not in _STREAM_OPTIONS | {"include_obfuscation"}:
            raise bad_request(
                "unknown_field",
                f"stream_options.{name[:64]} is not known here; known are {', '.join(sorted(_STREAM_OPTIONS))}.",
                "stream_options",
            )
    if passed:
        fields["stream_options"] = passed


def fill_in(fields: dict[str, Any], config: GuardConfig) -> None:
    """Add the server's stop tokens and sampling where the request is silent about them."""
    if not fields.get("stop_token_ids"):
        fields.pop("stop_token_ids", None)
        if config.stop_token_ids and not fields.get("ignore_eos"):
            fields["stop_token_ids"] = list(config.stop_token_ids)
    for name, value in config.sampling.items():
        fields.setdefault(name, value)


def _check_continuation(fields: dict[str, Any], messages: Sequence[Message]) -> None:
    """Settle how the prompt ends; vLLM takes `continue_final_message` only with no generation prompt."""
    if not fields.get("continue_final_message"):
        return
    if fields.setdefault("add_generation_prompt", False):
        raise bad_request(
            "invalid_combination",
            "continue_final_message goes on with the last message, add_generation_prompt begins a new one; send "
            '"add_generation_prompt": false with it.',
            "add_generation_prompt",
        )
    last = messages[-1]
    if last.role != "assistant" or not last.text.strip():
        raise bad_request(
            "invalid_combination",
            "continue_final_message needs a last message of the role assistant with text to go on from.",
            f"messages[{len(messages) - 1}]",
        )


def _thinking(fields: Mapping[str, Any], messages: Sequence[Message]) -> ThinkingMode:
    """Where the engine's text starts: a new turn opens the thinking, a continued one stands where it stopped."""
    if fields.get("add_generation_prompt", True):
        return "opened"
    last = messages[-1]
    if last.role != "assistant":
        return "raw"
    marks = _THINK_MARK.findall(last.text)
    return "raw" if marks and marks[-1] == "<think>" else "closed"
