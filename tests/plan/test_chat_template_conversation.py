"""Conversations in OpenAI's shapes, as vLLM hands them to a template."""

from __future__ import annotations

from typing import Any

import pytest

from stepaudio_serve.errors import SettingsError
from stepaudio_serve.plan.chat_template.conversation import read_conversation

AUDIO = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}


def content(parts: Any, content_format: Any, role: str = "user") -> Any:
    given = read_conversation({"messages": [{"role": role, "content": parts}]}, content_format)
    return given.messages[0]["content"]


def test_as_a_string_parts_are_joined_by_newlines_in_their_order() -> None:
    parts = [{"type": "text", "text": "a"}, AUDIO, "b", {"type": "refusal", "refusal": "no"}]
    assert content(parts, "string") == "a\n<audio_patch>\nb\nno"


def test_as_a_string_empty_text_is_dropped() -> None:
    assert content(["", AUDIO, {"type": "text", "text": ""}], "string") == "<audio_patch>"


def test_as_openai_parts_stay_a_list_of_text_and_audio() -> None:
    parts = ["a", {"type": "text", "text": ""}, AUDIO, {"type": "thinking", "thinking": "hm"}]
    assert content(parts, "openai") == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": ""},
        {"type": "audio"},
        {"type": "text", "text": "hm"},
    ]


def test_as_openai_plain_text_is_one_part_and_no_content_none() -> None:
    assert content("a", "openai") == [{"type": "text", "text": "a"}]
    assert content(None, "openai") == []


def test_as_openai_a_part_keeps_keys_that_vllm_does_not_know() -> None:
    assert content([{"type": "text", "text": "a", "cache": 1}], "openai") == [{"type": "text", "text": "a", "cache": 1}]


def test_as_openai_a_tools_result_in_text_is_joined() -> None:
    assert content([{"type": "text", "text": "a"}, "b"], "openai", role="tool") == "a\nb"
    assert content([AUDIO], "openai", role="tool") == [{"type": "audio"}]


@pytest.mark.parametrize(
    "part",
    [
        AUDIO,
        {"input_audio": {"data": "x"}},
        {"type": "audio_url", "audio_url": {"url": "data:audio/wav;base64,"}},
        {"type": "audio_url", "audio_url": "data:audio/wav;base64,"},
        {"audio_url": "https://example.com/a.wav"},
        {"type": "audio"},
    ],
    ids=str,
)
def test_audio_is_known_by_its_shape(part: dict[str, Any]) -> None:
    assert content([part], "string") == "<audio_patch>"


def test_only_what_a_template_is_given_by_vllm_gets_through() -> None:
    message = {"role": "user", "content": "a", "name": "Ann", "refusal": None, "tool_calls": [], "mood": "good"}
    given = read_conversation({"messages": [message], "model": "m", "stream": True}, "string")
    assert given.messages == [{"role": "user", "content": "a", "name": "Ann"}]
    assert given.tools is None


def test_arguments_become_an_object() -> None:
    calls = [
        {"id": str(index), "type": "function", "function": {"name": "f", "arguments": arguments}}
        for index, arguments in enumerate(['{"a": [1]}', {"a": [1]}, "", None])
    ]
    given = read_conversation({"messages": [{"role": "assistant", "tool_calls": calls}]}, "string")
    assert [call["function"]["arguments"] for call in given.messages[0]["tool_calls"]] == [
        {"a": [1]},
        {"a": [1]},
        {},
        {},
    ]


def test_tools_are_written_out_in_vllms_order_with_what_is_absent() -> None:
    tool = {"function": {"parameters": {"z": 1}, "name": "f", "strict": True, "mine": 1}}
    (given,) = read_conversation({"messages": [], "tools": [tool]}, "string").tools or ()
    assert list(given.items()) == [
        ("type", "function"),
        ("function", {"name": "f", "description": None, "parameters": {"z": 1}, "strict": True}),
    ]
    assert list(given["function"]) == ["name", "description", "parameters", "strict"]


class TestDevelopers:
    """vLLM 0.32 gives system messages to a template that does not know the role; the fork leaves it."""

    def seen(self, content_format: Any, *roles: str) -> list[tuple[str, Any]]:
        messages = [{"role": role, "content": f"{role} {index}"} for index, role in enumerate(roles)]
        given = read_conversation({"messages": messages}, content_format)
        return [(message["role"], message["content"]) for message in given.messages]

    def test_the_fork_leaves_the_role(self) -> None:
        assert self.seen("string", "developer", "user") == [("developer", "developer 0"), ("user", "user 1")]

    def test_one_in_front_becomes_the_system_message(self) -> None:
        assert self.seen("openai", "developer")[0] == ("system", [{"type": "text", "text": "developer 0"}])

    def test_one_further_down_is_moved_to_the_front_as_text(self) -> None:
        assert self.seen("openai", "user", "developer")[0] == ("system", "developer 1")

    def test_several_are_merged_in_front(self) -> None:
        seen = self.seen("openai", "system", "user", "developer")
        assert seen[0] == ("system", "system 0\n\ndeveloper 2")
        assert [role for role, _ in seen] == ["system", "user"]

    def test_without_one_later_system_messages_stay(self) -> None:
        assert [role for role, _ in self.seen("openai", "user", "system")] == ["user", "system"]


def of_user(content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}]}


def of_call(call: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [call]}]}


@pytest.mark.parametrize(
    ("conversation", "spot", "problem"),
    [
        ([], "the conversation", "expected an object, not a list"),
        ({}, "messages", "expected a list, not nothing"),
        ({"messages": "hi"}, "messages", "expected a list, not a string"),
        ({"messages": ["hi"]}, "messages[0]", "expected an object, not a string"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role", "expected a string, not nothing"),
        (of_user(3), "messages[0].content", "expected a list, not a number"),
        (of_user({"type": "text"}), "messages[0].content", "expected a list, not an object"),
        (of_user([True]), "messages[0].content[0]", "expected an object, not a boolean"),
        (of_user(["a", {"type": "text"}]), "messages[0].content[1].text", "expected a string, not nothing"),
        (
            of_user([{"type": "file"}]),
            "messages[0].content[0]",
            "a content part of type 'file' is neither text nor audio",
        ),
        (of_user([{}]), "messages[0].content[0]", "a content part of type None is neither text nor audio"),
        (of_user([{"type": []}]), "messages[0].content[0]", "a content part of type [] is neither text nor audio"),
        (
            {"messages": [{"role": "assistant", "tool_calls": {}}]},
            "messages[0].tool_calls",
            "expected a list, not an object",
        ),
        (of_call({"name": "f"}), "messages[1].tool_calls[0].function", "expected an object, not nothing"),
        (of_call({"function": {}}), "messages[1].tool_calls[0].function.name", "expected a string, not nothing"),
        (
            of_call({"function": {"name": "f", "arguments": "{"}}),
            "messages[1].tool_calls[0].function.arguments",
            "not JSON",
        ),
        (
            of_call({"function": {"name": "f", "arguments": "[1]"}}),
            "messages[1].tool_calls[0].function.arguments",
            "expected an object, not a list",
        ),
        ({"messages": [], "tools": {}}, "tools", "expected a list, not an object"),
        ({"messages": [], "tools": [{"name": "f"}]}, "tools[0]", "not a function tool"),
    ],
)
def test_a_wrong_shape_is_named_with_its_spot(conversation: Any, spot: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_conversation(conversation, "string")
    assert caught.value.what == f"{spot}: {problem}"


def test_the_model_cards_audio_shape_is_answered_with_the_right_one() -> None:
    part = {"type": "input_audio", "audio_data": "UklGRg==", "mime_type": "audio/wav"}
    with pytest.raises(SettingsError, match=r"messages\[0\]\.content\[0\]: .* needs input_audio\.data") as caught:
        content([part], "string")
    assert caught.value.why == "It has type, audio_data, mime_type."
    assert '"input_audio": {"data": "<base64>", "format": "wav"}' in caught.value.fix


def test_a_mark_in_the_text_beside_real_audio_is_refused_as_vllm_does() -> None:
    with pytest.raises(SettingsError, match=r"messages\[0\]\.content: the text contains <audio_patch>"):
        content([AUDIO, "a <audio_patch> b"], "string")
    assert content("a <audio_patch> b", "string") == "a <audio_patch> b"
