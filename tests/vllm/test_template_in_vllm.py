"""Our rendering and our detection beside vLLM's own."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stepaudio_serve.plan.chat_template import BUILTIN, ChatTemplate, load_template, render
from stepaudio_serve.plan.chat_template.content_format import detect

AUDIO = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
FULL_TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "<ü> & 'x'", "parameters": {}, "strict": True},
}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def call(arguments: str, call_id: str = "call-1") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "weather", "arguments": arguments}}


REQUESTS: list[dict[str, Any]] = [
    {"messages": [user("Hi.")]},
    {"messages": [user(None) | {"content": ""}, {"role": "user"}]},
    {"messages": [user("»Ω« 日本 🎧 \"a\" 'b' \\n\n {{ 1 }} {% if %}")]},
    {"messages": [{"role": "system", "content": "S"}, user([AUDIO, text("Who?")])]},
    {"messages": [user([text("a"), text(""), "b", AUDIO, AUDIO, text("c")])]},
    {"messages": [user([AUDIO]), {"role": "human", "content": [AUDIO, text("again")]}]},
    {"messages": [user([{"type": "audio_url", "audio_url": {"url": "data:audio/wav;base64,"}}])]},
    {"messages": [user([{"type": "text", "text": "a", "mine": 1}, {"type": "text", "text": "a", "value": "b"}])]},
    {"messages": [user("a"), {"role": "assistant", "content": "b"}, user("c"), {"role": "assistant", "content": None}]},
    {"messages": [user("a")], "tools": [TOOL]},
    {"messages": [{"role": "system", "content": [text("S"), text("T")]}, user("a")], "tools": [TOOL, FULL_TOOL]},
    {
        "messages": [
            user("Is it warm?"),
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [call('{"city":"Malmö","n":[1.50,null]}'), call("", "call-2")],
            },
            {"role": "tool", "tool_call_id": "call-1", "content": [text("18"), text("degrees")]},
            {"role": "tool", "tool_call_id": "call-7", "content": "?"},
            {"role": "function_output", "content": "x"},
        ]
    },
    {"messages": [user("a"), {"role": "system", "content": "b"}]},
    {
        "messages": [user("a"), {"role": "assistant", "content": "<think>\n"}],
        "continue_final_message": True,
        "add_generation_prompt": False,
    },
    {"messages": [user("a"), {"role": "assistant", "content": "b"}], "add_generation_prompt": False},
]
DEVELOPER_REQUESTS: list[dict[str, Any]] = [
    {"messages": [{"role": "developer", "content": "D"}, user("a")]},
    {
        "messages": [
            {"role": "system", "content": [text("S"), text("T")]},
            user("a"),
            {"role": "developer", "content": "D"},
        ]
    },
]
"""Only in the `openai` format: the fork leaves the role as it is."""

LOOP = "{% for part in message.content %}{{ part }}{% endfor %}"
MACRO = "{% macro show(a, b) %}{% for part in b %}{% endfor %}{% endmacro %}{% for x in messages %}"
SOURCES = [
    *(load_template(name).source for name in BUILTIN),
    "{% for message in messages %}{{ message.content }}{% endfor %}",
    "{% for message in messages %}" + LOOP + "{% endfor %}",
    "{% set all = messages[1:] %}{% for message in all %}" + LOOP + "{% endfor %}",
    "{% for message in messages %}{% set content = message.content %}{% for p in content %}{% endfor %}{% endfor %}",
    MACRO + "{{ show(1, x['content']) }}{% endfor %}",
    MACRO + "{{ show(x['content'], 1) }}{% endfor %}",
    MACRO + "{{ show(1, b=x.content) }}{% endfor %}",
    MACRO + "{{ show(1, x.content | trim) }}{% endfor %}",
    "{% macro show(content) %}{% for p in content %}{% endfor %}{% endmacro %}{{ show(messages[0].content) }}",
    "{% set ns = namespace() %}{% set ns.all = messages %}{% for message in messages %}" + LOOP + "{% endfor %}",
]


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    formats = [(request, content_format) for request in REQUESTS for content_format in ("string", "openai")]
    formats += [(request, "openai") for request in DEVELOPER_REQUESTS]
    return [
        {
            "source": load_template(name).source,
            "request": request,
            "content_format": content_format,
            "add_generation_prompt": request.get("add_generation_prompt", True),
        }
        for name, (request, content_format) in itertools.product(BUILTIN, formats)
    ]


@pytest.fixture(scope="module")
def answers(vllm_python: Path, cases: list[dict[str, Any]]) -> dict[str, list[str]]:
    done = subprocess.run(
        [str(vllm_python), str(Path(__file__).with_name("render_with_vllm.py"))],
        input=json.dumps({"sources": SOURCES, "cases": cases}),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_vllm_renders_what_we_render(answers, cases) -> None:
    ours = [
        render(
            ChatTemplate("template", case["source"]),
            case["request"],
            add_generation_prompt=case["add_generation_prompt"],
            content_format=case["content_format"],
        )
        for case in cases
    ]
    assert ours == answers["prompts"]


def test_vllm_detects_what_we_detect(answers) -> None:
    assert [detect(source, "upstream") for source in SOURCES] == answers["detected"]
