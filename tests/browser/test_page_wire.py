"""What the server says, however it says it: streams cut anywhere, other dialects, refusals, breakdowns."""

from __future__ import annotations

import json
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import pytest
from hands import add, answered, ask, until
from playwright.sync_api import expect
from servers import Act, Scripted

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

pytestmark = pytest.mark.chromium


def stream(*deltas: dict[str, Any], reason: str | None = "stop", done: bool = True) -> bytes:
    events = [{"choices": [{"delta": delta, "finish_reason": None}]} for delta in deltas]
    if reason:
        events.append({"choices": [{"delta": {}, "finish_reason": reason}]})
    text = "".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events)
    return (text + "data: [DONE]\n\n" * done).encode()


def refusal(status: int, message: str, *, param: str | None = None, **headers: str) -> Act:
    error = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": "no"}}
    return Act([json.dumps(error).encode()], status, {"content-type": "application/json", **headers})


THOUGHT, SAID = {"reasoning_content": "I hear a gull: Möwe."}, {"content": "A gull. 鸥\n  Twice."}


EVENTS = """async (bytes) => {
    const start = (pipe) => { bytes.forEach((byte) => pipe.enqueue(Uint8Array.of(byte))); pipe.close(); };
    const found = [];
    for await (const data of events(new ReadableStream({ start }))) found.push(data);
    return found;
}"""
"""What the page reads in a stream that the network cut after every single byte."""


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_a_stream_may_be_cut_at_any_byte(visit: Callable[..., Page], scripted: Scripted, line_end: str) -> None:
    lines = [": a comment", "", "data: Möwe 鸥", "", "event: named", "data:two", "data:  lines", "", "", "data: [DONE]"]
    page = visit(scripted.url)
    found = page.evaluate(EVENTS, list(line_end.join(lines).encode()))
    assert found == ["Möwe 鸥", "two\n lines", "[DONE]"]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_any_line_end_does(visit: Callable[..., Page], scripted: Scripted, line_end: str) -> None:
    body = stream(THOUGHT, SAID).replace(b"\n", line_end.encode())
    scripted.acts.append(Act([bytes([byte]) for byte in body]))
    page = visit(scripted.url)
    ask(page)
    assert answered(page) == SAID["content"]
    assert page.locator(".thinking .text").text_content() == THOUGHT["reasoning_content"]


@pytest.mark.parametrize(
    ("deltas", "thinking", "answer"),
    [
        ([THOUGHT, SAID], THOUGHT["reasoning_content"], SAID["content"]),
        ([{"reasoning": "Hm."}, {"content": "A gull."}], "Hm.", "A gull."),
        ([{"reasoning": "Hm.", "reasoning_content": "Hm."}, {"content": "A gull."}], "Hm.", "A gull."),
        ([{"content": "Hm.\n</th"}, {"content": "ink>\n\nA gull."}], "Hm.", "A gull."),
        ([{"content": "<think>\nHm."}, {"content": "</think>A gull."}], "Hm.", "A gull."),
        ([{"content": None, "reasoning_content": None}, {"content": "A gull."}], "", "A gull."),
        ([{"reasoning_content": "A gull."}, {"content": "A gull."}], "", "A gull."),
    ],
    ids=["split", "newer name", "both names", "raw", "raw with both marks", "nulls", "thinking that never ended"],
)
def test_thinking_and_answer_are_told_apart(
    visit: Callable[..., Page],
    scripted: Scripted,
    deltas: list[dict[str, Any]],
    thinking: str,
    answer: str,
) -> None:
    scripted.acts.append(Act([stream(*deltas)]))
    page = visit(scripted.url)
    ask(page)
    assert answered(page) == answer
    assert (page.locator(".thinking .text").text_content() or "") == thinking
    expect(page.locator(".thinking")).to_be_visible(visible=bool(thinking))


def test_an_answer_is_text_and_never_markup(visit: Callable[..., Page], scripted: Scripted) -> None:
    said = "<img src=x onerror=alert(1)><b>bold</b>\n\ttabbed   wide"
    scripted.acts.append(Act([stream({"content": said})]))
    page = visit(scripted.url)
    ask(page)
    answered(page)
    assert page.locator(".answer").text_content() == said
    expect(page.locator(".answer")).to_have_css("white-space-collapse", "preserve")


def test_what_the_server_notes_is_shown(visit: Callable[..., Page], scripted: Scripted) -> None:
    notice = "max_tokens lowered from 32000 to 12345: the context holds 16384 tokens"
    headers = {"content-type": "text/event-stream", "x-stepaudio-notice": notice}
    scripted.acts.append(Act([stream({"content": "A gull"}, reason="length")], headers=headers))
    page = visit(scripted.url)
    ask(page)
    answered(page)
    expect(page.locator(".note").nth(0)).to_have_text(notice)
    expect(page.locator(".note").nth(1)).to_contain_text("Cut off: the context is full.")


BUSY = refusal(429, "32 requests are being answered.", **{"retry-after": "7"})
BROKEN = stream(SAID, reason=None, done=False)
DIED = b'data: {"error": {"message": "EngineDeadError"}}\n\n'


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (
            refusal(429, "32 requests are being answered.", **{"retry-after": "7"}),
            "The server is busy. Try again in 7 s.",
        ),
        (refusal(400, "It is empty.", param="messages[0].content[1]"), "two.wav: It is empty."),
        (refusal(413, "The body is over 64 MiB."), "For long recordings use: stepaudio-serve ask FILE"),
        (refusal(503, "The engine is dead."), "The server failed: The engine is dead."),
        (Act([b"<html>no</html>"], 502, {"content-type": "text/html"}), "The server failed: HTTP 502"),
        (Act([BROKEN]), "ended the answer before it was complete"),
        (
            Act([stream(SAID, reason=None, done=False) + b'data: {"error": {"message": "EngineDeadError"}}\n\n']),
            "EngineDead",
        ),
        (Act([b"data: {oops\n\n"]), "The answer broke off"),
    ],
    ids=["busy", "a clip refused", "too large", "dead", "a proxy's page", "ended early", "broke off", "not JSON"],
)
def test_a_failure_is_told_in_words_and_can_be_tried_again(
    visit: Callable[..., Page], scripted: Scripted, sound: Any, act: Act, words: str
) -> None:
    scripted.acts += [act, Act([stream(THOUGHT, SAID)])]
    page = visit(scripted.url)
    add(page, sound(1), "one.wav")
    add(page, sound(1), "two.wav")
    ask(page)
    expect(page.locator(".problem")).to_contain_text(words)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".problem")).to_have_count(0)
    expect(page.locator(".answer")).to_have_text(SAID["content"])
    assert scripted.asked[0] == scripted.asked[1]


def test_what_was_refused_is_not_asked_again_with_the_next_question(
    visit: Callable[..., Page], scripted: Scripted, sound: Any
) -> None:
    scripted.acts += [refusal(400, "It is empty.", param="messages[0].content[0]"), Act([stream(SAID)])]
    page = visit(scripted.url)
    add(page, sound(1))
    ask(page, "First?")
    expect(page.locator(".note")).to_contain_text("Left out of what is asked next")
    ask(page, "Second?")
    expect(page.locator(".answer").last).to_have_text(SAID["content"])
    assert scripted.asked[1]["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Second?"}]}]


def test_a_server_that_goes_on_after_an_error_is_left(visit: Callable[..., Page], scripted: Scripted) -> None:
    scripted.acts.append(Act(chain([DIED], repeat(b": " + b"x" * 65536 + b"\n\n"))))
    page = visit(scripted.url)
    ask(page)
    expect(page.locator(".problem")).to_contain_text("EngineDeadError")
    until(lambda: scripted.left == 1)


def test_a_server_that_is_away_is_said_to_be_so(visit: Callable[..., Page], scripted: Scripted) -> None:
    page = visit(scripted.url)
    expect(page.locator("#model")).to_have_text("Step-Audio-R1")
    page.route("**/chat/completions", lambda route: route.abort("connectionrefused"))
    ask(page)
    expect(page.locator(".problem")).to_contain_text("The server cannot be reached.")
    page.context.set_offline(True)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".problem")).to_have_text("This computer is offline.")
