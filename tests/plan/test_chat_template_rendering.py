"""What the two built-in templates show the model, and where the second repairs the first."""

from __future__ import annotations

from typing import Any

import pytest

from stepaudio_serve.errors import SettingsError
from stepaudio_serve.plan.chat_template import ChatTemplate, ContentFormat, load_template, render

OFFICIAL = load_template("official")
REPAIRED = load_template("step-audio-r1")

AUDIO = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "Wetter <heute>", "parameters": {"type": "object"}},
}
WEATHER_TURN = (
    '<|BOT|>tool_json_schemas\n[{"type": "function", "function": {"name": "weather", '
    '"description": "Wetter <heute>", "parameters": {"type": "object"}}}]<|EOT|>'
)
PROMPT = "<|BOT|>assistant\n<think>\n"


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def system(content: Any) -> dict[str, Any]:
    return {"role": "system", "content": content}


def assistant(content: Any, *calls: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": content} | ({"tool_calls": list(calls)} if calls else {})


def call(arguments: Any, name: str = "weather", call_id: str = "call-1") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def shown(template: ChatTemplate, *messages: dict[str, Any], **options: Any) -> str:
    """The prompt for the messages; `tools` and the options of `render` by name."""
    tools = {"tools": options.pop("tools")} if "tools" in options else {}
    return render(template, {"messages": list(messages), **tools}, **options)


@pytest.mark.parametrize("template", [OFFICIAL, REPAIRED], ids=lambda template: template.name)
class TestBothTemplates:
    @pytest.mark.parametrize("content_format", ["string", "openai"])
    def test_turns_of_system_and_user_then_the_generation_prompt(self, template, content_format) -> None:
        assert shown(template, system("Be brief."), user("Hi."), content_format=content_format) == (
            "<|BOT|>system\nBe brief.<|EOT|><|BOT|>human\nHi.<|EOT|>" + PROMPT
        )

    @pytest.mark.parametrize("content_format", ["string", "openai"])
    def test_audio_is_a_mark_with_no_newline_after_it(self, template, content_format) -> None:
        question = user([AUDIO, {"type": "audio_url", "audio_url": {"url": "data:audio/wav;base64,"}}, text("Who?")])
        assert shown(template, question, content_format=content_format) == (
            "<|BOT|>human\n<audio_patch><audio_patch>Who?<|EOT|>" + PROMPT
        )

    @pytest.mark.parametrize(
        ("content_format", "between"), [("string", "\n"), ("openai", "")], ids=["string", "openai"]
    )
    def test_texts_are_joined_by_what_hands_them_over(self, template, content_format, between) -> None:
        question = user([text("a"), text(""), text("b"), AUDIO, text("c")])
        assert f"human\na{between}b{between}<audio_patch>c<|EOT|>" in shown(
            template, question, content_format=content_format
        )

    def test_user_and_human_are_the_same(self, template) -> None:
        assert shown(template, user("Hi.")) == shown(template, {"role": "human", "content": "Hi."})

    def test_any_other_role_keeps_its_name(self, template) -> None:
        assert "<|BOT|>observer\nx<|EOT|>" in shown(template, {"role": "observer", "content": "x"})

    def test_a_system_message_in_the_middle_stays_there(self, template) -> None:
        assert shown(template, user("a"), system("b")) == ("<|BOT|>human\na<|EOT|><|BOT|>system\nb<|EOT|>" + PROMPT)

    def test_tools_follow_the_system_message_as_plain_json(self, template) -> None:
        assert shown(template, system("S"), user("U"), tools=[WEATHER]) == (
            "<|BOT|>system\nS<|EOT|>" + WEATHER_TURN + "<|BOT|>human\nU<|EOT|>" + PROMPT
        )

    def test_a_beginning_of_the_answer_is_left_open(self, template) -> None:
        messages = user("Hi."), assistant("<think>\n")
        assert shown(template, *messages, add_generation_prompt=False) == (
            "<|BOT|>human\nHi.<|EOT|><|BOT|>assistant\n<think>\n"
        )

    @pytest.mark.parametrize("nothing", [None, "", []], ids=repr)
    def test_no_content_is_an_empty_turn(self, template, nothing) -> None:
        assert shown(template, user(nothing)) == "<|BOT|>human\n<|EOT|>" + PROMPT

    @pytest.mark.parametrize(
        "words", ["»Ω« 日本 🎧", "\"a\" 'b' \\n", "{{ 7*7 }} {% if %} {# #}", ' {"k": "<b>&"}\n\t', "\n\n"]
    )
    def test_text_passes_unchanged(self, template, words) -> None:
        assert shown(template, user(words)) == f"<|BOT|>human\n{words}<|EOT|>" + PROMPT


class TestAssistantTurns:
    def test_the_official_template_never_closes_them(self) -> None:
        prompt = shown(OFFICIAL, user("a"), assistant("b"), user("c"), assistant("d"), user("e"))
        assert "b<|BOT|>" in prompt
        assert "d<|BOT|>" in prompt

    def test_they_are_closed(self) -> None:
        assert shown(REPAIRED, user("a"), assistant("b"), user("c"), assistant("d"), user("e")) == (
            "<|BOT|>human\na<|EOT|><|BOT|>assistant\nb<|EOT|><|BOT|>human\nc<|EOT|>"
            "<|BOT|>assistant\nd<|EOT|><|BOT|>human\ne<|EOT|>" + PROMPT
        )

    def test_the_last_is_closed_too_when_another_is_asked_for(self) -> None:
        assert shown(REPAIRED, user("a"), assistant("b")).endswith("assistant\nb<|EOT|>" + PROMPT)

    def test_only_the_last_is_open_without_a_generation_prompt(self) -> None:
        assert shown(REPAIRED, assistant("a"), assistant("b"), add_generation_prompt=False) == (
            "<|BOT|>assistant\na<|EOT|><|BOT|>assistant\nb"
        )

    def test_an_earlier_one_is_closed_without_a_generation_prompt(self) -> None:
        assert shown(REPAIRED, assistant("a"), user("b"), add_generation_prompt=False) == (
            "<|BOT|>assistant\na<|EOT|><|BOT|>human\nb<|EOT|>"
        )


class TestTools:
    def test_the_official_template_leaves_a_system_turn_half_open(self) -> None:
        assert shown(OFFICIAL, user("U"), tools=[WEATHER]).startswith("<|BOT|>system\n<|BOT|>tool_json_schemas\n")

    def test_without_a_system_message_the_tools_come_first(self) -> None:
        assert shown(REPAIRED, user("U"), tools=[WEATHER]) == (WEATHER_TURN + "<|BOT|>human\nU<|EOT|>" + PROMPT)

    def test_no_tools_are_no_turn(self) -> None:
        assert shown(REPAIRED, user("U"), tools=[]) == shown(REPAIRED, user("U"))

    def test_the_official_template_drops_calls(self) -> None:
        assert "tool_call" not in shown(OFFICIAL, user("U"), assistant("I look.", call("{}")), user("V"))

    @pytest.mark.parametrize(
        "arguments", ['{"city":"Malmö","n":"a\\n\\"b\\""}', {"city": "Malmö", "n": 'a\n"b"'}], ids=["text", "object"]
    )
    def test_calls_follow_the_text_one_after_the_other(self, arguments) -> None:
        made = assistant("I look.", call(arguments), call("{}", name="clock", call_id="call-2"))
        assert shown(REPAIRED, user("U"), made, user("V")) == (
            "<|BOT|>human\nU<|EOT|><|BOT|>assistant\nI look."
            '<tool_call>function\nweather\n{"city": "Malmö", "n": "a\\n\\"b\\""}</tool_call>'
            "<tool_call>function\nclock\n{}</tool_call><|EOT|><|BOT|>human\nV<|EOT|>" + PROMPT
        )

    def test_a_call_without_text(self) -> None:
        assert "<|BOT|>assistant\n<tool_call>" in shown(REPAIRED, assistant(None, call("{}")), user("V"))

    @pytest.mark.parametrize("content_format", ["string", "openai"])
    def test_a_result_bears_the_name_of_the_function_called_under_its_id(self, content_format) -> None:
        calls = call("{}"), call("{}", name="clock", call_id="call-2")
        result = {"role": "tool", "tool_call_id": "call-2", "content": [text("12"), text("o'clock")]}
        assert shown(REPAIRED, assistant("", *calls), result, content_format=content_format).endswith(
            "<|BOT|>function_output\nclock\n12\no'clock<|EOT|>" + PROMPT
        )

    @pytest.mark.parametrize("result", [{"tool_call_id": "call-9"}, {"tool_call_id": None}, {}], ids=repr)
    def test_a_result_of_no_known_call_is_of_a_tool(self, result) -> None:
        prompt = shown(REPAIRED, assistant("", call("{}")), {"role": "tool", "content": "18", **result})
        assert "<|BOT|>function_output\ntool\n18<|EOT|>" in prompt

    def test_the_official_template_drops_function_output(self) -> None:
        output = {"role": "function_output", "content": "18 degrees"}
        assert shown(OFFICIAL, user("U"), output) == shown(OFFICIAL, user("U"))

    def test_function_output_is_an_input_turn(self) -> None:
        output = {"role": "function_output", "content": "18 degrees"}
        assert shown(REPAIRED, output) == "<|BOT|>input\n18 degrees<|EOT|>" + PROMPT


class TestOutsideVllm:
    """Transformers hands messages to the template as they are."""

    def raw(self, *messages: dict[str, Any]) -> str:
        from stepaudio_serve.plan.chat_template.environment import environment

        return environment().from_string(REPAIRED.source).render(messages=messages)

    def test_arguments_in_a_string_are_json_already(self) -> None:
        made = assistant("", call('{"city":"Malmö"}'))
        assert self.raw(made) == '<|BOT|>assistant\n<tool_call>function\nweather\n{"city":"Malmö"}</tool_call>'

    @pytest.mark.parametrize("nothing", [None, "", {}], ids=repr)
    def test_no_arguments_are_an_empty_object(self, nothing) -> None:
        assert "\nweather\n{}</tool_call>" in self.raw(assistant("", call(nothing)))

    def test_a_call_may_come_without_the_function_around_it(self) -> None:
        flat = {"name": "weather", "arguments": {"city": "Oslo"}}
        assert '\nweather\n{"city": "Oslo"}</tool_call>' in self.raw(assistant("", flat))

    def test_a_call_without_an_id_is_nobodys(self) -> None:
        flat = {"function": {"name": "weather", "arguments": {}}}
        assert "<|BOT|>function_output\ntool\n18" in self.raw(assistant("", flat), {"role": "tool", "content": "18"})

    def test_a_result_of_a_call_without_the_function_around_it_is_of_a_tool(self) -> None:
        flat = {"id": "call-1", "name": "weather", "arguments": {}}
        result = {"role": "tool", "tool_call_id": "call-1", "content": "18"}
        assert "<|BOT|>function_output\ntool\n18" in self.raw(assistant("", flat), result)

    def test_openai_parts_and_the_value_key(self) -> None:
        parts = [AUDIO, {"type": "audio"}, {"type": "text", "value": "Who?"}, "And why?"]
        assert self.raw(user(parts)) == "<|BOT|>human\n<audio_patch><audio_patch>Who?And why?<|EOT|>"

    def test_a_single_part(self) -> None:
        assert self.raw(user({"type": "text", "value": "Who?"})) == "<|BOT|>human\nWho?<|EOT|>"

    def test_a_part_that_is_neither_text_nor_audio_is_refused(self) -> None:
        import jinja2

        with pytest.raises(jinja2.TemplateError, match="part of type 'image' is neither text nor audio"):
            self.raw(user([{"type": "image"}]))


class TestRefusals:
    def test_an_empty_conversation_is_refused_in_words(self) -> None:
        with pytest.raises(SettingsError) as caught:
            shown(REPAIRED)
        assert caught.value.why == "A conversation needs at least one message."

    def test_the_official_template_fails_on_it(self) -> None:
        with pytest.raises(SettingsError) as caught:
            shown(OFFICIAL)
        assert caught.value.why == "list object has no element 0"

    def test_a_template_that_does_not_parse_names_the_line(self) -> None:
        with pytest.raises(SettingsError, match="does not parse") as caught:
            shown(ChatTemplate("mine.jinja", "a\n{% if %}"), user("U"))
        assert caught.value.why.startswith("Line 2:")
        assert caught.value.fix == "stepaudio-serve template check mine.jinja"

    @pytest.mark.parametrize(
        ("source", "why"),
        [
            ("{{ messages.__class__.__mro__ }}", "unsafe"),
            ("{{ messages.append(1) }}", "unsafe|not safely"),
            ("{{ 1 / 0 }}", "ZeroDivisionError"),
            ("{{ raise_exception('No!') }}", "No!"),
            ("{% include 'x' %}", "loader"),
        ],
    )
    def test_a_template_that_fails_says_why(self, source: str, why: str) -> None:
        with pytest.raises(SettingsError, match="cannot render") as caught:
            shown(ChatTemplate("mine.jinja", source), user("U"))
        assert any(word in caught.value.why for word in why.split("|"))

    def test_half_a_surrogate_pair_is_no_text(self) -> None:
        with pytest.raises(SettingsError, match="half of a surrogate pair") as caught:
            shown(REPAIRED, user("\ud83c"))
        assert caught.value.why.startswith("Character 14 of the prompt is '\\ud83c'")

    def test_continuing_and_answering_exclude_each_other(self) -> None:
        request = {"messages": [user("a"), assistant("b")], "continue_final_message": True}
        with pytest.raises(SettingsError, match="continue_final_message"):
            render(REPAIRED, request)
        assert render(REPAIRED, {**request, "add_generation_prompt": False}).endswith("assistant\nb")


class TestTheEnvironment:
    """What a template may use, as in transformers."""

    def once(self, source: str, content_format: ContentFormat | None = None) -> str:
        return shown(ChatTemplate("mine.jinja", source), user("U"), content_format=content_format)

    def test_blocks_leave_no_lines_behind(self) -> None:
        assert self.once("a\n  {% if true %}\nb\n  {% endif %}\nc\n") == "a\nb\nc"

    def test_json_is_not_escaped_for_html(self) -> None:
        assert self.once("{{ {'a': '<ü>'} | tojson }}") == '{"a": "<ü>"}'
        assert self.once("{{ {'b': 1, 'a': 2} | tojson(indent=1, sort_keys=true) }}") == '{\n "a": 2,\n "b": 1\n}'

    def test_loops_can_be_broken(self) -> None:
        assert self.once("{% for i in [1, 2, 3] %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}") == "1"

    def test_generation_marks_are_transparent(self) -> None:
        assert self.once("a{% generation %}b{% endgeneration %}c") == "abc"

    def test_the_date_is_known(self) -> None:
        assert len(self.once("{{ strftime_now('%Y') }}")) == 4

    def test_content_arrives_as_the_default_engine_detects_it(self) -> None:
        looping = "{% for m in messages %}{% for part in m.content %}[{{ part.text }}]{% endfor %}{% endfor %}"
        assert self.once(looping) == "[U]"
        assert self.once("{{ messages[0].content }}") == "U"
        assert self.once("{{ messages[0].content }}", "openai") == "[{'type': 'text', 'text': 'U'}]"
