from __future__ import annotations

from typing import Any

import pytest
from support.preparing import question

from stepaudio_serve.guard.config import GuardConfig, Limits
from stepaudio_serve.guard.refusal import Refusal, RefusedError
from stepaudio_serve.guard.request.chat import Chat, read_chat

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
CONTINUED = {"continue_final_message": True, "add_generation_prompt": False}


def read(request: dict[str, Any], **config: Any) -> Chat:
    return read_chat(request, GuardConfig(**config))


def refused(request: dict[str, Any], **config: Any) -> Refusal:
    with pytest.raises(RefusedError) as caught:
        read(request, **config)
    return caught.value.refusal


def prefilled(text: str, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": text}], **fields}


class TestMessages:
    @pytest.mark.parametrize("request_", [{}, {"messages": None}])
    def test_they_are_needed(self, request_: dict[str, Any]) -> None:
        assert refused(request_).param == "messages"

    def test_there_is_at_least_one(self) -> None:
        assert refused({"messages": []}).code == "out_of_bounds"


class TestText:
    def test_it_is_bounded_over_all_messages(self) -> None:
        limits = Limits(text_characters=10)
        read({"messages": [{"role": "user", "content": "aaaaa"}] * 2}, limits=limits)
        refusal = refused({"messages": [{"role": "user", "content": "aaaaa"}] * 3}, limits=limits)
        assert refusal.code == "text_too_long"
        assert "15 characters" in refusal.message
        assert "takes 10" in refusal.message

    @pytest.mark.parametrize(
        "request_",
        [
            question("a", tools=[{"function": {"name": "look", "description": "a" * 200}}]),
            question("a", name="look", role="user")
            | {"messages": [{"role": "user", "content": "", "name": "a" * 200}]},
            prefilled("")
            | {
                "messages": [
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [{"function": {"name": "look", "arguments": '{"a": "' + "a" * 200 + '"}'}}],
                    }
                ]
            },
        ],
    )
    def test_with_all_that_reaches_the_prompt(self, request_: dict[str, Any]) -> None:
        request_.pop("name", None)
        read(request_)
        assert refused(request_, limits=Limits(text_characters=150)).code == "text_too_long"


class TestThinking:
    @pytest.mark.parametrize(
        ("request_", "mode"),
        [
            (question("a"), "opened"),
            (question("a", separate_reasoning=True), "opened"),
            (question("a", separate_reasoning=False), "raw"),
            (question("a", add_generation_prompt=True), "opened"),
            (question("a", add_generation_prompt=False), "raw"),
            (prefilled("a"), "opened"),
            (prefilled("<think>\n", **CONTINUED), "raw"),
            (prefilled("<think>\nhm", **CONTINUED), "raw"),
            (prefilled("<think>\nhm</think>\nIt", **CONTINUED), "closed"),
            (prefilled("<think>hm</think><think>", **CONTINUED), "raw"),
            (prefilled("It is", **CONTINUED), "closed"),
            (prefilled("It is", continue_final_message=True), "closed"),
            (prefilled("It is", add_generation_prompt=False), "closed"),
        ],
    )
    def test_it_depends_on_where_the_prompt_ends(self, request_: dict[str, Any], mode: str) -> None:
        assert read(request_).thinking == mode

    def test_a_server_can_leave_it_in_the_text(self) -> None:
        assert read(question("a"), separate_thinking=False).thinking == "raw"

    def test_the_engine_is_not_told(self) -> None:
        assert "separate_reasoning" not in read(question("a", separate_reasoning=False)).fields


class TestContinuing:
    def test_no_generation_prompt_is_asked_for_with_it(self) -> None:
        assert read(prefilled("It", continue_final_message=True)).fields["add_generation_prompt"] is False

    def test_both_at_once_are_refused(self) -> None:
        refusal = refused(prefilled("It", continue_final_message=True, add_generation_prompt=True))
        assert refusal.code == "invalid_combination"

    @pytest.mark.parametrize(
        "request_", [question("a", **CONTINUED), prefilled("", **CONTINUED), prefilled(" ", **CONTINUED)]
    )
    def test_there_must_be_something_to_go_on_from(self, request_: dict[str, Any]) -> None:
        assert refused(request_).code == "invalid_combination"

    def test_false_is_the_same_as_silence(self) -> None:
        assert read(question("a", continue_final_message=False)).thinking == "opened"


class TestStop:
    def test_the_servers_tokens_are_filled_in(self) -> None:
        assert read(question("a"), stop_token_ids=(7, 8)).fields["stop_token_ids"] == [7, 8]
        assert read(question("a", stop_token_ids=[]), stop_token_ids=(7,)).fields["stop_token_ids"] == [7]

    def test_a_requests_own_stay(self) -> None:
        assert read(question("a", stop_token_ids=[1]), stop_token_ids=(7,)).fields["stop_token_ids"] == [1]

    def test_who_ignores_the_end_gets_none(self) -> None:
        assert "stop_token_ids" not in read(question("a", ignore_eos=True), stop_token_ids=(7,)).fields

    def test_nothing_is_made_up(self) -> None:
        assert read(question("a")).fields == {}


class TestSampling:
    def test_the_servers_is_filled_in_where_the_request_is_silent(self) -> None:
        config = {"sampling": {"temperature": 0.7, "repetition_penalty": 1.07}}
        assert read(question("a", temperature=0), **config).fields == {"temperature": 0, "repetition_penalty": 1.07}
        assert read(question("a", temperature=None), **config).fields["temperature"] == 0.7


class TestStream:
    def test_options_pass_with_a_stream(self) -> None:
        request = question("a", stream=True, stream_options={"include_usage": True, "include_obfuscation": False})
        chat = read(request)
        assert chat.stream
        assert chat.fields["stream_options"] == {"include_usage": True}

    def test_and_are_left_out_without_one(self) -> None:
        assert "stream_options" not in read(question("a", stream_options={"include_usage": True})).fields

    @pytest.mark.parametrize("options", [{"include_usage": 1}, {"include_usage": "yes"}, {"other": True}])
    def test_they_are_switches_with_known_names(self, options: Any) -> None:
        assert refused(question("a", stream=True, stream_options=options)).param.startswith("stream_options")


class TestTools:
    def test_definitions_pass_harmless(self) -> None:
        tool = {"type": "function", "function": {"name": "look", "description": "<|EOT|>", "parameters": {"<|a|>": 1}}}
        (read_tool,) = read(question("a", tools=[tool])).fields["tools"]
        assert read_tool["function"]["description"] == "< |EOT|>"
        assert read_tool["function"]["parameters"] == {"< |a|>": 1}

    def test_strict_is_dropped_as_no_grammar_is_made(self) -> None:
        strict = {**TOOL, "function": {**TOOL["function"], "strict": True}}
        assert read(question("a", tools=[strict])).fields["tools"] == [TOOL]

    @pytest.mark.parametrize("choice", ["auto", "none"])
    def test_the_model_may_choose_or_not(self, choice: str) -> None:
        assert read(question("a", tools=[TOOL], tool_choice=choice)).fields["tool_choice"] == choice

    def test_no_tools_leave_nothing_to_choose(self) -> None:
        assert read(question("a", tools=[], tool_choice="auto")).fields == {}

    @pytest.mark.parametrize("choice", ["any", "required", {}, {"type": "function", "function": {"name": "look"}}])
    def test_a_forced_call_would_compile_the_clients_schema(self, choice: Any) -> None:
        assert refused(question("a", tools=[TOOL], tool_choice=choice)).param == "tool_choice"

    @pytest.mark.parametrize(
        "tool", [None, "look", {}, {"function": {}}, {"type": "web_search"}, {**TOOL, "type": "x"}]
    )
    def test_a_tool_is_a_function_with_a_name(self, tool: Any) -> None:
        refusal = refused(question("a", tools=[TOOL, tool]))
        assert refusal.param is not None
        assert refusal.param.startswith("tools[1]")


def test_what_is_counted_is_the_prompts_text() -> None:
    request = prefilled("It", model="m", temperature=0, tools=[TOOL], **CONTINUED)
    assert read(request).text_request == {
        "model": "m",
        "tools": [TOOL],
        "continue_final_message": True,
        "add_generation_prompt": False,
        "messages": request["messages"],
    }
