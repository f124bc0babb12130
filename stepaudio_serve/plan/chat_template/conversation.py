"""A conversation in OpenAI's shapes, turned into what vLLM hands to the template.

`string` follows the fork (vLLM 0.10.1, `_parse_chat_message_content_parts` with `--interleave-mm-strings`): the
parts of a message are joined by newlines, an audio mark standing where the audio stood; empty text is dropped.
`openai` follows vLLM 0.32 (`vllm/renderers/chat_utils.py` and `hf.py`): a list of text and audio parts; results of
tools made of text become one string; `developer` messages are merged into the system message.

Nothing is decoded or fetched: audio counts as audio by its shape.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ...errors import SettingsError

if TYPE_CHECKING:
    from .source import ContentFormat

AUDIO_MARK: Final = "<audio_patch>"
"""The token that stands for a clip in the prompt (`StepAudio2ForCausalLM.get_placeholder_str`)."""

_TEXT_KEYS: Final = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "refusal": "refusal",
    "thinking": "thinking",
}
_AUDIO_SHAPES: Final = {
    "input_audio": '{"type": "input_audio", "input_audio": {"data": "<base64>", "format": "wav"}}',
    "audio_url": '{"type": "audio_url", "audio_url": {"url": "data:audio/wav;base64,..."}}',
}
_TOOL_SHAPE: Final = '{"type": "function", "function": {"name": "...", "parameters": {...}}}'


@dataclass(frozen=True, slots=True)
class TemplateInput:
    """What the template is given as `messages` and `tools`."""

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] | None


@dataclass(frozen=True, slots=True)
class _Text:
    text: str
    extra: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Audio:
    pass


_Part = _Text | _Audio


def read_conversation(conversation: Mapping[str, Any], content_format: ContentFormat) -> TemplateInput:
    """Check a chat completion request's `messages` and `tools` and give them vLLM's shapes; other keys are left.

    Raises:
        SettingsError: a shape that vLLM refuses; `what` begins with the spot, as `messages[1].content[0]`.
    """
    conversation = _mapping(conversation, "the conversation", fix='Write {"messages": [...]}')
    messages = [
        _message(_mapping(message, f"messages[{index}]"), f"messages[{index}]", content_format)
        for index, message in enumerate(_list(conversation.get("messages"), "messages"))
    ]
    tools = conversation.get("tools")
    return TemplateInput(
        messages=_without_developers(messages) if content_format == "openai" else messages,
        tools=None
        if tools is None
        else [_tool(tool, f"tools[{index}]") for index, tool in enumerate(_list(tools, "tools"))],
    )


def _message(message: Mapping[str, Any], spot: str, content_format: ContentFormat) -> Mapping[str, Any]:
    role = _string(message.get("role"), f"{spot}.role", fix='Add "role", for example "user".')
    parts = _parts(message.get("content"), f"{spot}.content")
    content = _joined(parts, spot) if content_format == "string" else _listed(parts, role)
    seen: dict[str, Any] = {"role": role, "content": content}
    if role == "assistant" and (calls := message.get("tool_calls")) is not None:
        seen["tool_calls"] = [
            _tool_call(call, f"{spot}.tool_calls[{index}]")
            for index, call in enumerate(_list(calls, f"{spot}.tool_calls"))
        ]
    if role == "tool" and "tool_call_id" in message:
        seen["tool_call_id"] = message["tool_call_id"]
    if isinstance(message.get("name"), str):
        seen["name"] = message["name"]
    return seen


def _parts(content: object, spot: str) -> list[_Part]:
    if content is None:
        return []
    if isinstance(content, str):
        return [_Text(content, {})]
    return [_part(part, f"{spot}[{index}]") for index, part in enumerate(_list(content, spot))]


def _part(part: object, spot: str) -> _Part:
    if isinstance(part, str):
        return _Text(part, {})
    part = _mapping(part, spot)
    kind = part.get("type", next((key for key in _AUDIO_SHAPES if key in part), None))
    if isinstance(kind, str) and kind in _TEXT_KEYS:
        key = _TEXT_KEYS[kind]
        extra = {name: value for name, value in part.items() if name not in {"type", *_TEXT_KEYS.values()}}
        return _Text(_string(part.get(key), f"{spot}.{key}"), extra)
    if kind == "audio":
        return _Audio()
    if isinstance(kind, str) and kind in _AUDIO_SHAPES:
        _require_audio(part, kind, spot)
        return _Audio()
    raise SettingsError(
        f"{spot}: a content part of type {kind!r} is neither text nor audio",
        fix=f'Use {{"type": "text", "text": "..."}} or {_AUDIO_SHAPES["input_audio"]}',
    )


def _require_audio(part: Mapping[str, Any], kind: str, spot: str) -> None:
    """vLLM wants audio where OpenAI puts it; the model card's `audio_data` is answered with HTTP 400."""
    audio, field = part.get(kind), "data" if kind == "input_audio" else "url"
    is_plain_url = kind == "audio_url" and isinstance(audio, str)
    if not is_plain_url and not (isinstance(audio, Mapping) and isinstance(audio.get(field), str)):
        raise SettingsError(
            f"{spot}: a part of type {kind!r} needs {kind}.{field}",
            why=f"It has {', '.join(part) or 'no keys'}.",
            fix=f"Write it as {_AUDIO_SHAPES[kind]}",
        )


def _joined(parts: Sequence[_Part], spot: str) -> str:
    pieces = [AUDIO_MARK if isinstance(part, _Audio) else part.text for part in parts]
    joined = "\n".join(piece for piece in pieces if piece)
    clips = sum(isinstance(part, _Audio) for part in parts)
    if clips and joined.count(AUDIO_MARK) > clips:
        raise SettingsError(
            f"{spot}.content: the text contains {AUDIO_MARK}, the mark of an audio clip",
            why="vLLM refuses a message with more marks than clips.",
            fix="Remove the mark from the text; vLLM puts one in for every audio part.",
        )
    return joined


def _listed(parts: Sequence[_Part], role: str) -> str | list[Mapping[str, Any]]:
    if role == "tool" and all(isinstance(part, _Text) for part in parts):
        return "\n".join(part.text for part in parts if isinstance(part, _Text))
    return [
        {"type": "audio"} if isinstance(part, _Audio) else {"type": "text", "text": part.text, **part.extra}
        for part in parts
    ]


def _tool_call(call: object, spot: str) -> Mapping[str, Any]:
    call = _mapping(call, spot)
    function = _mapping(call.get("function"), f"{spot}.function")
    name = _string(function.get("name"), f"{spot}.function.name")
    arguments = _arguments(function.get("arguments"), f"{spot}.function.arguments")
    return {**call, "function": {**function, "name": name, "arguments": arguments}}


def _arguments(arguments: object, spot: str) -> Mapping[str, Any]:
    """Templates are given arguments as a mapping; OpenAI sends them as JSON text, at times empty."""
    if arguments is None or arguments == "":
        return {}
    if not isinstance(arguments, str):
        return _mapping(arguments, spot)
    try:
        return _mapping(json.loads(arguments), spot)
    except json.JSONDecodeError as error:
        raise SettingsError(
            f"{spot}: not JSON",
            why=f"{error.msg} at character {error.pos}.",
            fix='Write the arguments as a JSON object in a string, for example "{}".',
        ) from error


def _tool(tool: object, spot: str) -> Mapping[str, Any]:
    """A tool with the keys and their order as vLLM's `ChatCompletionToolsParam` dumps them, absent ones as null."""
    tool = _mapping(tool, spot)
    function = tool.get("function")
    if not isinstance(function, Mapping) or tool.get("type", "function") != "function":
        raise SettingsError(f"{spot}: not a function tool", fix=f"Write it as {_TOOL_SHAPE}")
    name = _string(function.get("name"), f"{spot}.function.name")
    known = {"name": name, "description": function.get("description"), "parameters": function.get("parameters")}
    strict = {"strict": function["strict"]} if function.get("strict") is not None else {}
    return {"type": "function", "function": {**known, **strict}}


def _without_developers(messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """vLLM 0.32, for a template that does not know the role: system messages, all merged into one at the front."""
    if all(message["role"] != "developer" for message in messages):
        return messages
    system = [message for message in messages if message["role"] in {"developer", "system"}]
    others = [message for message in messages if message["role"] not in {"developer", "system"}]
    if messages[0] in system and len(system) == 1:
        return [{**system[0], "role": "system"}, *others]
    texts = ("\n".join(part["text"] for part in message["content"] if "text" in part) for message in system)
    return [{"role": "system", "content": "\n\n".join(text for text in texts if text)}, *others]


def _mapping(value: object, spot: str, *, fix: str = "") -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SettingsError(f"{spot}: expected an object, not {_described(value)}", fix=fix)
    return value


def _list(value: object, spot: str) -> Sequence[Any]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise SettingsError(f"{spot}: expected a list, not {_described(value)}")
    return value


def _string(value: object, spot: str, *, fix: str = "") -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{spot}: expected a string, not {_described(value)}", fix=fix)
    return value


def _described(value: object) -> str:
    """A value as JSON names it."""
    if value is None:
        return "nothing"
    return {str: "a string", bool: "a boolean", list: "a list", dict: "an object"}.get(type(value), "a number")
