"""Tools a client offers, and the calls of them in a conversation; all of it becomes part of the prompt."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..refusal import bad_request
from .json_body import describe, parse_object
from .special_tokens import neutralise, neutralise_tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..config import Limits

_MAX_NAME = 256


def read_tools(value: Sequence[Any]) -> list[Any]:
    """The definitions, harmless and without OpenAI's `strict`, which promises a grammar that is not made here.

    Raises RefusedError where one is not a function with a name.
    """
    kept: list[Any] = []
    for index, tool in enumerate(value):
        param = f"tools[{index}]"
        function = {name: item for name, item in _function(tool, param).items() if name != "strict"}
        if tool.get("type", "function") != "function":
            raise bad_request("unsupported_tool", f"{param}.type must be 'function'.", f"{param}.type")
        kept.append({**tool, "function": function})
    tools: list[Any] = neutralise_tree(kept)
    return tools


def read_tool_calls(value: Sequence[Any], param: str, limits: Limits) -> list[dict[str, Any]]:
    """The calls an assistant made, harmless. Raises RefusedError where one cannot be rendered."""
    return [_read_call(call, f"{param}[{index}]", limits) for index, call in enumerate(value)]


def read_tool_choice(value: str | Mapping[str, Any]) -> str:
    """`auto` or `none`. Raises RefusedError for a forced call: vLLM makes a grammar of the tool's schema for it."""
    if value not in ("auto", "none"):
        raise bad_request(
            "unsupported_tool_choice",
            "tool_choice is auto or none here: a forced call makes the engine compile the request's own schema, and "
            "leaves no room for thinking. Ask for the call in the prompt.",
            "tool_choice",
        )
    return str(value)


def _read_call(call: Any, param: str, limits: Limits) -> dict[str, Any]:
    function = _function(call, param)
    identifier = call.get("id")
    if identifier is not None and not isinstance(identifier, str):
        raise bad_request("invalid_type", f"{param}.id must be a string, not {describe(identifier)}.", f"{param}.id")
    arguments = _arguments(function.get("arguments"), f"{param}.function.arguments", limits)
    read = {"type": "function", "function": {"name": neutralise(function["name"]), "arguments": arguments}}
    return read if identifier is None else {"id": neutralise(identifier), **read}


def _arguments(value: Any, param: str, limits: Limits) -> str:
    """The arguments as JSON text, harmless also once the engine has read its escapes."""
    if value is None or value == "":
        return "{}"
    if isinstance(value, str):
        value = parse_object(value.encode(), text_characters=limits.text_characters, param=param)
    if not isinstance(value, dict):
        raise bad_request("invalid_type", f"{param} must be a JSON object as text, not {describe(value)}.", param)
    return json.dumps(neutralise_tree(value), ensure_ascii=False)


def _function(value: Any, param: str) -> Mapping[str, Any]:
    function = value.get("function") if isinstance(value, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not (isinstance(function, dict) and isinstance(name, str) and 0 < len(name) <= _MAX_NAME):
        raise bad_request(
            "invalid_tool",
            f'{param} must be of the form {{"type": "function", "function": {{"name": ...}}}}, with a name of 1 to '
            f"{_MAX_NAME} characters.",
            param,
        )
    return function
