"""Both parsers as vLLM's own code combines them, whole and in streams, over tokenizers with and without the marks."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import stepaudio_serve.vllm_plugin

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
PROMPT = "<|BOT|>human\nIs it warm?<|EOT|><|BOT|>assistant\n<think>\n"
CITY = '{"city": "Malmö 🎵", "n": [1.50, "</tool_call>"]}'
CALL = f"<tool_call>function\nweather\n{CITY}</tool_call>"
TOKENIZERS = ("tokens", "special", "pieces")


@dataclass(frozen=True, slots=True)
class Output:
    """What a model writes after a prompt, and what a client is to get of it."""

    output: str
    reasoning: str | None
    content: str | None
    calls: tuple[tuple[str, str], ...] = ()
    parsers: tuple[str, ...] = ("reasoning", "tool")
    prompt: str = PROMPT
    request: dict[str, Any] = field(default_factory=dict)
    streamed_content: str | None = None
    streamed_calls: tuple[tuple[str, str], ...] = ()


CONTINUED = {
    "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "<think>\nHm.</think>"}],
    "continue_final_message": True,
    "add_generation_prompt": False,
}
FORCED = {"type": "function", "function": {"name": "weather"}}
BROKEN = "<tool_call>function\nweather\n{city: 1}</tool_call>"
CUT = '<tool_call>function\nweather\n{"city": "Mal'
OUTPUTS = {
    "an answer": Output("I listen.\n</think>\n\nA dog, né 🎵.\n", "I listen.\n", "A dog, né 🎵.\n"),
    "the mark of thinking again": Output("<think>\nI listen.</think>A dog.", "I listen.", "A dog."),
    "an end of thinking alone": Output("</think>\n\nA dog.", None, "A dog."),
    "no end of thinking": Output("I listen, and then", "I listen, and then", None),
    "half an end of thinking": Output("I listen. </thin", "I listen. </thin", None),
    "nothing after the thinking": Output("I listen.</think>\n\n", "I listen.", None),
    "a second end of thinking": Output("a</think>b</think>c", "a", "b</think>c"),
    "no tool parser": Output("I listen.</think>\n\nA dog. <tool", "I listen.", "A dog. <tool", parsers=("reasoning",)),
    "no tool parser, cut off": Output("I listen. </thi", "I listen. </thi", None, parsers=("reasoning",)),
    "a call": Output(f"I look.\n</think>\n\n{CALL}", "I look.\n", None, (("weather", CITY),)),
    "text and calls": Output(
        f"I look.</think>\n\nWait.\n{CALL}\n<tool_call>function\ng\n{{}}</tool_call>\n",
        "I look.",
        "Wait.",
        (("weather", CITY), ("g", "{}")),
    ),
    "text after a call": Output(f"a</think>b {CALL} c\n", "a", "b c", (("weather", CITY),)),
    "a call while thinking": Output(f"I may {CALL}.</think>No.", f"I may {CALL}.", "No."),
    "no reasoning parser": Output(f"Wait. {CALL}", None, "Wait.", (("weather", CITY),), parsers=("tool",)),
    "half a call's mark": Output("a</think>So <tool_ca", "a", "So <tool_ca"),
    "a mark that is none": Output("a</think>So <tool_call>fun</tool_call>!", "a", "So <tool_call>fun</tool_call>!"),
    "a call that is cut off": Output(
        f"a</think>So {CUT}", "a", f"So {CUT}", streamed_content="So", streamed_calls=(("weather", '{"city": "Mal'),)
    ),
    "a broken call": Output(
        f"a</think>{BROKEN}!", "a", f"{BROKEN}!", streamed_content="!", streamed_calls=(("weather", "{city: 1}"),)
    ),
    "tools but no use of them": Output(f"a</think>b {CALL}", "a", f"b {CALL}", request={"tool_choice": "none"}),
    "a forced call": Output(f"a</think>\n{CITY}", "a", None, (("weather", CITY),), request={"tool_choice": FORCED}),
    "any call": Output(
        'a</think>\n[{"name": "weather", "parameters": {"a": 1}}]',
        "a",
        None,
        (("weather", '{"a": 1}'),),
        request={"tool_choice": "required"},
    ),
    "a prompt that ends the thinking": Output(
        f"So {CALL}", None, "So", (("weather", CITY),), prompt=PROMPT + "Hm.</think>", request=CONTINUED
    ),
    "a prompt without thinking": Output(
        " and so on",
        None,
        " and so on",
        prompt="<|BOT|>assistant\nOn",
        request=CONTINUED | {"messages": [{"role": "assistant", "content": "On"}]},
    ),
    "a prompt of parts that ends the thinking": Output(
        "<think>So.",
        None,
        "<think>So.",
        prompt="<|BOT|>assistant\nHm.</think>",
        request=CONTINUED
        | {
            "messages": [
                {"role": "assistant", "content": [{"type": "text", "text": part} for part in ("Hm.</thi", "nk>")]}
            ]
        },
    ),
    "a former turn that ended its thinking": Output(
        "I listen.</think>A dog.",
        "I listen.",
        "A dog.",
        prompt="<|BOT|>assistant\n<think>\na</think>b<|EOT|>" + PROMPT,
    ),
}
CASES = list(itertools.product(OUTPUTS, TOKENIZERS))


@pytest.fixture(scope="module")
def parsed(vllm_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("modules")
    (folder / "stepaudio_vllm").symlink_to(Path(stepaudio_serve.vllm_plugin.__file__).parent)
    cases = [
        {
            "tokenizer": tokenizer,
            "parsers": OUTPUTS[name].parsers,
            "prompt": OUTPUTS[name].prompt,
            "output": OUTPUTS[name].output,
            "request": {"messages": [{"role": "user", "content": "Is it warm?"}]}
            | ({"tools": [TOOL]} if "tool" in OUTPUTS[name].parsers else {})
            | OUTPUTS[name].request,
        }
        for name, tokenizer in CASES
    ]
    done = subprocess.run(
        [str(vllm_python), str(Path(__file__).with_name("parse_with_vllm.py"))],
        input=json.dumps(cases),
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    return {"spelled": answer["spelled"], **dict(zip(CASES, answer["found"], strict=True))}


def message(found: dict[str, Any]) -> tuple[str | None, str | None, tuple[tuple[str, str], ...]]:
    # vLLM leaves the content of a forced call an empty text in one of its two ways
    calls = tuple((call["name"], call["arguments"]) for call in found["calls"])
    return found["reasoning"], found["content"] or None, calls


@pytest.mark.parametrize(("name", "tokenizer"), CASES)
class TestMessages:
    def test_a_whole_answer_is_told_apart(self, parsed, name: str, tokenizer: str) -> None:
        wanted = OUTPUTS[name]
        assert message(parsed[name, tokenizer]["whole"]) == (wanted.reasoning, wanted.content, wanted.calls)

    def test_a_stream_says_the_same_however_many_tokens_a_step_brings(self, parsed, name: str, tokenizer: str) -> None:
        wanted = OUTPUTS[name]
        content, calls = wanted.content, wanted.calls
        if wanted.streamed_calls:
            content, calls = wanted.streamed_content, wanted.streamed_calls
        for stream in parsed[name, tokenizer]["streams"]:
            assert message(stream) == (wanted.reasoning, content, calls)

    def test_every_streamed_call_has_an_id_of_its_own(self, parsed, name: str, tokenizer: str) -> None:
        for stream in parsed[name, tokenizer]["streams"]:
            ids = [call["id"] for call in stream["calls"]]
            assert all(ids)
            assert len(set(ids)) == len(ids)


def test_the_mark_is_one_token_in_some_tokenizers_and_several_in_another(parsed) -> None:
    assert parsed["spelled"]["tokens"] == parsed["spelled"]["special"] == 1
    assert parsed["spelled"]["pieces"] > 1


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
class TestTokens:
    def test_the_tokens_of_the_thinking_are_counted(self, parsed, tokenizer: str) -> None:
        found = parsed["an answer", tokenizer]
        assert found["reasoning_text"] == "I listen.\n"
        assert parsed["an end of thinking alone", tokenizer]["reasoning_tokens"] == 0
        assert parsed["no end of thinking", tokenizer]["reasoning_text"] == "I listen, and then"

    def test_a_continued_answer_has_no_tokens_of_thinking(self, parsed, tokenizer: str) -> None:
        assert parsed["a prompt that ends the thinking", tokenizer]["reasoning_tokens"] == 0
        assert parsed["a prompt without thinking", tokenizer]["reasoning_tokens"] == 0

    def test_the_tokens_of_the_answer_follow_those_that_end_the_thinking(self, parsed, tokenizer: str) -> None:
        answer = OUTPUTS["an answer"].output.partition("</think>")[2]
        assert answer.endswith(parsed["an answer", tokenizer]["content_text"])
        assert parsed["an answer", tokenizer]["content_text"].strip() == "A dog, né 🎵."
        assert parsed["no end of thinking", tokenizer]["content_text"] == ""

    def test_only_the_last_turn_of_a_prompt_ends_the_thinking(self, parsed, tokenizer: str) -> None:
        ended = {name for name in OUTPUTS if parsed[name, tokenizer]["prompt_ends_reasoning"]}
        assert ended == {"a prompt that ends the thinking", "a prompt of parts that ends the thinking"}

    def test_a_grammar_holds_from_the_end_of_the_thinking_on(self, parsed, tokenizer: str) -> None:
        at_once, later = parsed["an answer", tokenizer]["constrained_after"]
        assert at_once.rstrip() == "I listen.\n</think>"
        assert later.startswith(at_once)
        assert parsed["no end of thinking", tokenizer]["constrained_after"] == [None, None]
        former = parsed["a former turn that ended its thinking", tokenizer]["constrained_after"]
        assert former == ["I listen.</think>", "I listen.</think>A dog."[: len(former[1])]]

    def test_arguments_are_streamed_as_they_come(self, parsed, tokenizer: str) -> None:
        by_token, *_, at_once = parsed["a call", tokenizer]["streams"]
        assert by_token["steps"] > len(CITY) / 2
        assert at_once["steps"] == 1

    @pytest.mark.parametrize(
        "name", ["a call", "text and calls", "a call that is cut off", "a broken call", "an answer"]
    )
    def test_the_serving_code_finds_that_all_of_every_call_went_out(self, parsed, tokenizer: str, name: str) -> None:
        for stream in parsed[name, tokenizer]["streams"]:
            assert stream["noted"] == [[call["name"], call["arguments"]] for call in stream["calls"]]
            assert stream["noted_arguments"] == [call["arguments"] for call in stream["calls"]]
            assert stream["unsent_arguments"] == ""
