"""The messages of a conversation: read, checked, and with no control token in any of their text."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..refusal import bad_request
from .fields import check_fields, message_rules
from .json_body import describe
from .parts import Audio, read_part
from .special_tokens import neutralise, neutralise_followed
from .tools import read_tool_calls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..config import Limits
    from .parts import Part

ROLES: Mapping[str, str] = MappingProxyType(
    {
        "system": "system",
        "developer": "system",
        "user": "user",
        "human": "user",
        "assistant": "assistant",
        "tool": "tool",
        "function_output": "function_output",
    }
)
"""Each role that is taken, and the one it becomes. `human` is what the authors' clients say for `user`; `developer`
is OpenAI's newer name of `system`. A role becomes part of the prompt, so no other passes."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its fields but `content`, and the parts of that; None where an assistant only called tools."""

    fields: Mapping[str, Any]
    content: str | tuple[Part, ...] | None

    @property
    def role(self) -> str:
        """One of the values of ROLES."""
        role: str = self.fields["role"]
        return role

    @property
    def parts(self) -> tuple[Part, ...]:
        """The content as parts."""
        if self.content is None:
            return ()
        return (self.content,) if isinstance(self.content, str) else self.content

    @property
    def text(self) -> str:
        """The text parts, joined as the engine does."""
        return "\n".join(part for part in self.parts if isinstance(part, str))

    @property
    def audio(self) -> Iterator[Audio]:
        """The audio parts."""
        return (part for part in self.parts if isinstance(part, Audio))


def read_messages(value: Sequence[Any], limits: Limits) -> list[Message]:
    """The messages of a request. Raises RefusedError, naming the message or the part at fault."""
    return [_read_message(message, f"messages[{index}]", limits) for index, message in enumerate(value)]


def text_length(messages: Sequence[Any], tools: Any = None) -> int:
    """The characters that messages and tools as they were sent bring into the prompt.

    Known before anything is made of them: making much text harmless takes its time.
    """
    told = [message for message in messages if isinstance(message, dict)]
    length = _length(tools)
    for message in told:
        length += sum(_length(message.get(name)) for name in ("name", "tool_calls", "tool_call_id"))
        content = message.get("content")
        for part in content if isinstance(content, list) else [content]:
            length += _length([part.get("text"), part.get("value")] if isinstance(part, dict) else part)
    return length


def as_json(message: Message, clips: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """The message for the engine, each audio part replaced by its `clips`, found by the part's place."""
    if not isinstance(message.content, tuple):
        return {**message.fields, "content": message.content}
    content: list[Mapping[str, Any]] = []
    for part in message.content:
        if isinstance(part, str):
            content.append({"type": "text", "text": part})
        else:
            content.extend(clips[part.param])
    return {**message.fields, "content": content or ""}


def text_alone(message: Message) -> dict[str, Any]:
    """The message for the engine without its audio."""
    return as_json(message, {audio.param: () for audio in message.audio})


def _length(value: Any) -> int:
    """The characters of every string and key in a JSON value."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(map(_length, value))
    if isinstance(value, dict):
        return sum(len(key) + _length(item) for key, item in value.items())
    return 0


def _read_message(value: Any, param: str, limits: Limits) -> Message:
    if not isinstance(value, dict):
        raise bad_request("invalid_type", f"{param} must be an object, not {describe(value)}.", param)
    fields = check_fields(value, message_rules(), limits, inside=param)
    content = fields.pop("content", None)
    role = _role(fields, param)
    fields["role"] = role
    for name in ("name", "tool_call_id"):
        if name in fields:
            fields[name] = neutralise(fields[name])
    if calls := fields.pop("tool_calls", []):
        if role != "assistant":
            inside = f"{param}.tool_calls"
            raise bad_request("invalid_message", f"{inside}: only an assistant calls tools.", inside)
        fields["tool_calls"] = read_tool_calls(calls, f"{param}.tool_calls", limits)
    return Message(fields, _content(content, role, param, calls=bool(calls)))


def _role(fields: Mapping[str, Any], param: str) -> str:
    role = fields.get("role", "")
    if role not in ROLES:
        known = ", ".join(ROLES)
        raise bad_request("invalid_role", f"{param}.role must be one of {known}.", f"{param}.role")
    return ROLES[role]


def _content(content: Any, role: str, param: str, *, calls: bool) -> str | tuple[Part, ...] | None:
    keep_thinking = role == "assistant"
    if content is None:
        if role != "assistant":
            raise bad_request("invalid_message", f"{param} has no content.", f"{param}.content")
        return None if calls else ""
    if isinstance(content, str):
        return neutralise(content, keep_thinking=keep_thinking)
    parts = [read_part(part, f"{param}.content[{index}]") for index, part in enumerate(content)]
    if role != "user":
        for part in parts:
            if isinstance(part, Audio):
                raise bad_request(
                    "audio_in_wrong_role",
                    f"{part.param}: the model hears users alone; move the audio from this {role} message to one of "
                    "the role user.",
                    part.param,
                )
    return _joined(parts, keep_thinking=keep_thinking) or ""


def _joined(parts: Sequence[Part], *, keep_thinking: bool) -> tuple[Part, ...]:
    """The parts without empty texts, and harmless also where one text follows another directly."""
    kept = [part for part in parts if part != ""]
    following = [*kept, None][1:]
    return tuple(
        part
        if isinstance(part, Audio)
        else (neutralise_followed if isinstance(after, str) else neutralise)(part, keep_thinking=keep_thinking)
        for part, after in zip(kept, following, strict=True)
    )
