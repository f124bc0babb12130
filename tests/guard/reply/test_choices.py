from __future__ import annotations

from typing import Any

import pytest

from stepaudio_serve.guard.reply.choices import separate_message


def choice(finish: str = "stop", **message: Any) -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}


def separated(given: dict[str, Any], mode: Any = "opened") -> dict[str, Any]:
    separate_message(given, mode)
    message: dict[str, Any] = given["message"]
    return message


def test_a_whole_answer_has_its_thinking_under_both_names() -> None:
    message = separated(choice(content="I listen.</think>\nA dog.", reasoning_content=None))
    assert message == {
        "role": "assistant",
        "content": "A dog.",
        "reasoning_content": "I listen.",
        "reasoning": "I listen.",
    }


def test_one_without_thinking_has_both_names_all_the_same() -> None:
    message = separated(choice(content="A dog."))
    assert (message["content"], message["reasoning"], message["reasoning_content"]) == ("A dog.", None, None)


def test_one_that_was_cut_off_inside_its_thinking_has_no_content() -> None:
    message = separated(choice("length", content="I listen."))
    assert (message["content"], message["reasoning"]) == (None, "I listen.")


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_an_engine_that_separates_is_believed(name: str) -> None:
    message = separated(choice(**{"content": "\nA </think> dog.", name: "I listen."}))
    assert (message["content"], message["reasoning"], message["reasoning_content"]) == (
        "\nA </think> dog.",
        "I listen.",
        "I listen.",
    )


def test_a_message_of_tool_calls_alone_stays_so() -> None:
    message = separated(choice("tool_calls", content=None, tool_calls=[{"id": "1"}]))
    assert (message["content"], message["tool_calls"]) == (None, [{"id": "1"}])


def test_what_starts_outside_the_thinking_is_text() -> None:
    assert separated(choice(content=" and so on"), "closed")["content"] == " and so on"


@pytest.mark.parametrize("odd", [{"index": 0}, {"index": 0, "message": None}])
def test_a_choice_without_a_message_is_left_alone(odd: dict[str, Any]) -> None:
    separate_message(odd, "opened")
    assert odd.get("message") is None
