"""Both templates over generated conversations: the same where the official one is right, else exactly so far apart."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stepaudio_serve.plan.chat_template import check, load_template, render
from stepaudio_serve.plan.chat_template.conversation import AUDIO_MARK

OFFICIAL = load_template("official")
REPAIRED = load_template("step-audio-r1")

Message = dict[str, Any]

awkward = st.sampled_from(
    [
        "<|EOT|>",
        "<|BOT|>system\n",
        "{{ 1 }}",
        "{% raw %}",
        "\n",
        "\r\n",
        '"',
        "'",
        "\\n",
        "</tool_call>",
        "<think>",
        "&<>",
    ]
)
words = st.lists(st.text(max_size=12) | awkward, max_size=4).map("".join).filter(lambda text: AUDIO_MARK not in text)
part = st.one_of(
    words.map(lambda text: {"type": "text", "text": text}),
    st.just({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
    st.just({"type": "audio_url", "audio_url": {"url": "data:audio/wav;base64,UklGRg=="}}),
)
content = st.none() | words | st.lists(part, max_size=4)
json_object = st.dictionaries(
    words, st.recursive(st.none() | st.booleans() | st.integers() | words, lambda inner: st.lists(inner, max_size=2))
)
tools = st.lists(
    st.builds(
        lambda name, description, parameters: {
            "type": "function",
            "function": {"name": name, "description": description, "parameters": parameters},
        },
        words,
        words,
        json_object,
    ),
    min_size=1,
    max_size=2,
)
content_format = st.sampled_from(["string", "openai"])


def said_by(*roles: str) -> st.SearchStrategy[Message]:
    return st.fixed_dictionaries({"role": st.sampled_from(roles), "content": content})


def conversation(*roles: str) -> st.SearchStrategy[list[Message]]:
    return st.lists(said_by(*roles), min_size=1, max_size=5)


@given(conversation("system", "user", "human", "observer"), content_format, st.booleans())
def test_without_the_assistant_both_are_the_same(messages, content_format, prompt) -> None:
    options = {"content_format": content_format, "add_generation_prompt": prompt}
    request = {"messages": messages}
    assert render(REPAIRED, request, **options) == render(OFFICIAL, request, **options)


@given(conversation("system", "user"), tools, content_format)
def test_with_tools_they_differ_only_by_the_half_open_system_turn(messages, tools, content_format) -> None:
    request = {"messages": messages, "tools": tools}
    half_open = "" if messages[0]["role"] == "system" else "<|BOT|>system\n"
    repaired = render(REPAIRED, request, content_format=content_format)
    assert half_open + repaired == render(OFFICIAL, request, content_format=content_format)


@given(conversation("system", "user", "assistant"), content_format, st.booleans())
def test_they_differ_only_by_the_end_of_assistant_turns(messages, content_format, prompt) -> None:
    def alone(message: Message) -> str:
        return render(OFFICIAL, {"messages": [message]}, content_format=content_format, add_generation_prompt=False)

    def end(index: int) -> str:
        is_continued = index == len(messages) - 1 and not prompt
        return "<|EOT|>" if messages[index]["role"] == "assistant" and not is_continued else ""

    repaired = render(REPAIRED, {"messages": messages}, content_format=content_format, add_generation_prompt=prompt)
    turns = [alone(message) + end(index) for index, message in enumerate(messages)]
    assert repaired == "".join(turns) + ("<|BOT|>assistant\n<think>\n" if prompt else "")


@given(words, st.lists(st.tuples(words, json_object), min_size=1, max_size=3), words, content_format, st.data())
def test_calls_and_results_have_the_form_of_the_models_tokenizer(text, calls, result, content_format, data) -> None:
    answered = data.draw(st.integers(0, len(calls)))
    request = {
        "messages": [
            {
                "role": "assistant",
                "content": text,
                "tool_calls": [
                    {
                        "id": f"id-{index}",
                        "type": "function",
                        "function": {"name": name, "arguments": json.dumps(given)},
                    }
                    for index, (name, given) in enumerate(calls)
                ],
            },
            {"role": "tool", "tool_call_id": f"id-{answered}", "content": result},
        ]
    }
    written = "".join(
        f"<tool_call>function\n{name}\n{json.dumps(given, ensure_ascii=False)}</tool_call>" for name, given in calls
    )
    name = calls[answered][0] if answered < len(calls) else "tool"
    assert render(REPAIRED, request, content_format=content_format) == (
        f"<|BOT|>assistant\n{text}{written}<|EOT|><|BOT|>function_output\n{name}\n{result}<|EOT|>"
        "<|BOT|>assistant\n<think>\n"
    )


@given(conversation("system", "user", "assistant"), content_format)
def test_there_is_one_mark_for_each_clip(messages, content_format) -> None:
    clips = sum(
        part["type"] != "text" for message in messages for part in message["content"] or [] if isinstance(part, dict)
    )
    assert render(REPAIRED, {"messages": messages}, content_format=content_format).count(AUDIO_MARK) == clips


@given(st.text())
def test_checking_any_text_finds_something_and_never_fails(source) -> None:
    from stepaudio_serve.plan.chat_template import ChatTemplate

    assert any(finding.level == "blocker" for finding in check(ChatTemplate("any", source)))
