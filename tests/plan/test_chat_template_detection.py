"""Which content format each generation of vLLM detects; each case was seen in vLLM's own code."""

from __future__ import annotations

import pytest

from stepaudio_serve.plan.chat_template import BUILTIN, load_template
from stepaudio_serve.plan.chat_template.content_format import EndlessDetectionError, detect


def loop(over: str, inside: str = "{{ part }}") -> str:
    return "{% for part in " + over + " %}" + inside + "{% endfor %}"


def messages(inside: str) -> str:
    return "{% for message in messages %}" + inside + "{% endfor %}"


def macro(call: str, inside: str, parameters: str = "content") -> str:
    return "{% macro show(" + parameters + ") %}" + inside + "{% endmacro %}" + messages("{{ " + call + " }}")


@pytest.mark.parametrize("name", BUILTIN)
def test_the_built_in_templates_get_a_string_from_the_fork_and_parts_from_upstream(name: str) -> None:
    source = load_template(name).source
    assert (detect(source, "stepfun"), detect(source, "upstream")) == ("string", "openai")


@pytest.mark.parametrize(
    ("source", "stepfun", "upstream"),
    [
        ("", "string", "string"),
        (messages("{{ message.content }}"), "string", "string"),
        (messages(loop("message.content")), "openai", "openai"),
        (messages(loop("message['content']")), "openai", "openai"),
        (messages(loop("message['content'] | list")), "openai", "openai"),
        (messages(loop("message['content'][1:]")), "openai", "openai"),
        (messages(loop("message['parts']")), "string", "string"),
        (loop("messages[0]['content']"), "string", "string"),
        ("{% set all = messages[1:] %}{% for m in all %}" + loop("m.content") + "{% endfor %}", "openai", "openai"),
        ("{% set messages = messages[1:] %}" + messages(loop("message.content")), "openai", "openai"),
        (
            "{% set ns = namespace() %}{% set ns.all = messages %}" + messages(loop("message.content")),
            "string",
            "string",
        ),
        ("{% for a, b in messages %}{% endfor %}" + messages(loop("message.content")), "string", "string"),
        (messages("{% set content = message.content %}" + loop("content")), "string", "openai"),
        (messages("{% set parts = message.content %}" + loop("parts")), "string", "string"),
        (macro("show(message.content)", loop("content")), "string", "openai"),
        (macro("show(x, message['content'])", loop("it"), "role, it"), "string", "openai"),
        (macro("show(it=message.content)", loop("it"), "role, it"), "string", "openai"),
        (macro("show(message.content, x)", loop("it"), "role, it"), "string", "string"),
        (macro("show(message)", loop("message.content"), "message"), "openai", "openai"),
        (macro("show(message.role)", loop("content")), "string", "string"),
        (macro("show(messages[0].content)", loop("content")), "string", "string"),
        (macro("other(message.content)", loop("content")), "string", "string"),
        (macro("show(message.content)", loop("content | list")), "string", "string"),
        (macro("show(message.role)", loop("content")) + loop("content"), "string", "openai"),
    ],
)
def test_what_is_detected(source: str, stepfun: str, upstream: str) -> None:
    assert detect(source, "stepfun") == stepfun
    assert detect(source, "upstream") == upstream


def test_variables_assigned_in_a_circle_are_noticed() -> None:
    source = "{% set all = messages %}{% set messages = all %}" + messages(loop("message.content"))
    with pytest.raises(EndlessDetectionError, match="messages = all = messages"):
        detect(source, "stepfun")
