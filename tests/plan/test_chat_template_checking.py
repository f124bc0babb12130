"""What `template check` finds in good and bad templates."""

from __future__ import annotations

import pytest

from stepaudio_serve.plan.chat_template import ChatTemplate, check, load_template

GOOD = load_template("step-audio-r1").source


def problems(source: str) -> dict[str, str]:
    """Level by id, for every finding that is not ok."""
    found = check(ChatTemplate("mine.jinja", source))
    return {finding.id: finding.level for finding in found if finding.level != "ok"}


def test_the_default_template_is_right_in_everything() -> None:
    findings = check(load_template("step-audio-r1"))
    assert {finding.level for finding in findings} == {"ok"}
    assert {finding.group for finding in findings} == {"template"}
    assert len({finding.id for finding in findings}) == len(findings)


def test_the_official_template_has_known_flaws_that_do_not_stop_it() -> None:
    assert problems(load_template("official").source) == {
        "template-turns-closed": "warning",
        "template-tool-schemas": "warning",
        "template-tool-calls": "warning",
        "template-tool-results": "warning",
        "template-function-output": "warning",
        "template-empty": "warning",
    }


def test_every_problem_says_what_why_and_what_to_type() -> None:
    for finding in check(load_template("official")):
        if finding.level != "ok":
            assert finding.what.startswith("official ")
            assert finding.why
            assert finding.fix == "stepaudio-serve up --chat-template step-audio-r1"


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


@pytest.mark.parametrize(
    ("source", "id_", "level"),
    [
        (changed("{%- endfor -%}\n\n{%- if add", "{%- if add"), "template-parses", "blocker"),
        ("{% set a = messages %}{% set messages = a %}" + GOOD, "template-parses", "blocker"),
        (
            changed('content.replace("<audio_patch>\\n", "<audio_patch>")', "content.__class__"),
            "template-sandbox",
            "blocker",
        ),
        ("{% if never %}{{ messages.pop() }}{% endif %}" + GOOD, "template-sandbox", "blocker"),
        ("{% include 'other' %}" + GOOD, "template-renders", "blocker"),
        (changed('{{- "<audio_patch>" -}}', '{{- "<|audio|>" -}}'), "template-audio", "blocker"),
        (changed('{{- "<audio_patch>" -}}', '{{- "<audio_patch><audio_patch>" -}}'), "template-audio", "blocker"),
        (changed('{{- "<|BOT|>assistant\\n<think>\\n" -}}', ""), "template-generation-prompt", "blocker"),
        (changed("assistant\\n<think>\\n", "assistant\\n"), "template-thinking", "warning"),
        (changed('render_turn("human"', 'render_turn("user"'), "template-user-turn", "warning"),
        (changed("add_generation_prompt or not loop.last", "false"), "template-turns-closed", "warning"),
        (changed("add_generation_prompt or not loop.last", "true"), "template-continuation", "warning"),
        (changed("{%- if tools -%}", '{%- if tools -%}{{- "<|BOT|>system\\n" -}}'), "template-tool-schemas", "warning"),
        (changed("<tool_call>function", "<tool_call>"), "template-tool-calls", "warning"),
        (changed('namespace(name="tool")', 'namespace(name="tool")[0]'), "template-tool-results", "warning"),
        (changed('render_turn("input"', 'render_turn("function_output"'), "template-function-output", "warning"),
        (changed("{%- if not messages -%}", "{%- if false -%}"), "template-empty", "warning"),
        (
            changed("{%- for part in content -%}", "{%- for part in content | list -%}"),
            "template-content-format",
            "warning",
        ),
        (
            changed('render_content(message["content"])', "render_content(message.content | first)"),
            "template-same-prompt",
            "warning",
        ),
    ],
)
def test_a_flaw_is_found(source: str, id_: str, level: str) -> None:
    assert problems(source).get(id_) == level


def test_a_template_that_does_not_parse_gets_one_finding_with_the_line() -> None:
    (finding,) = check(ChatTemplate("mine.jinja", "{{ messages }}\n{% endfor %}"))
    assert finding.why.startswith("Line 2:")


def test_a_change_of_a_value_is_named_with_its_line() -> None:
    findings = check(ChatTemplate("mine.jinja", "\n{% if tools %}{{ tools.append(1) }}{% endif %}"))
    (sandbox,) = [finding for finding in findings if finding.id == "template-sandbox"]
    assert sandbox.why == "Rendering fails at line 2: .append() changes a value in place."


def test_a_template_for_another_model_is_not_mistaken_for_one_of_this() -> None:
    chatml = (
        "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    )
    assert {id_ for id_, level in problems(chatml).items() if level == "blocker"} == {"template-generation-prompt"}
    assert {
        "template-content-format",
        "template-audio-joined",
        "template-user-turn",
        "template-turns-closed",
    } <= problems(chatml).keys()


def test_a_generation_prompt_in_the_wrong_place_is_none() -> None:
    prompt = '{{- "<|BOT|>assistant\\n<think>\\n" -}}'
    assert problems(prompt + changed(prompt, ""))["template-generation-prompt"] == "blocker"


def test_a_template_without_audio_is_blocked() -> None:
    assert problems("{{ messages[-1].role }}<|BOT|>assistant\n")["template-audio"] == "blocker"
