"""A question about a sound: asked, thought about, answered, stopped, asked again."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from hands import add, answered, ask, sounds_of, until
from playwright.sync_api import expect

from stepaudio_serve.client.tasks import all_tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page
    from servers import Served

pytestmark = pytest.mark.chromium

DROP = """([data, name]) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name));
    for (const type of ["dragover", "drop"])
        document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
}"""
REFUSE_TO_COPY = """() => {
    navigator.clipboard.writeText = () => Promise.reject(new DOMException("no", "NotAllowedError"));
    document.execCommand = () => false;
}"""
PASTE = """([data, name]) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([bytes], name));
    document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
}"""


@pytest.mark.parametrize("hand_over", [DROP, PASTE], ids=["dropped", "pasted"])
def test_a_file_handed_over_is_heard(visit: Callable[..., Page], engine: Served, sound: Any, hand_over: str) -> None:
    page = visit(engine.url)
    page.evaluate(hand_over, [base64.b64encode(sound(2.4)).decode(), "tone.wav"])
    expect(page.locator("#attached .clip")).to_contain_text("tone.wav")
    expect(page.locator("#attached time")).to_have_text("0:02")
    ask(page)
    assert "Clip 1: 2.40 s, 16000 Hz, mono" in answered(page)


def test_thinking_is_open_while_it_lasts_and_folds_away_before_the_answer(
    visit: Callable[..., Page], serve: Any, sound: Any
) -> None:
    engine = serve(STEPAUDIO_REHEARSAL_TOKEN_SECONDS="0.02", STEPAUDIO_REHEARSAL_THINKING_WORDS="60")
    page = visit(engine.url)
    add(page, sound())
    ask(page)
    thinking = page.locator(".thinking")
    expect(thinking).to_contain_text("This is a rehearsal.")
    expect(thinking).to_have_attribute("open", "")
    expect(thinking.locator("summary")).to_contain_text("Thinking")
    assert "no model listened" in answered(page)
    expect(thinking).not_to_have_attribute("open", "")
    expect(thinking.locator("summary")).to_contain_text("Thought for")
    thinking.locator("summary").click()
    expect(thinking.get_by_role("region")).to_be_visible()


@pytest.mark.parametrize("how", ["key", "button"])
def test_stop_ends_the_answer_on_the_server_too(
    visit: Callable[..., Page], slow_engine: Served, sound: Any, how: str
) -> None:
    page = visit(slow_engine.url)
    add(page, sound())
    ask(page)
    expect(page.locator(".thinking")).to_contain_text("rehearsal")
    assert slow_engine.running() == 1
    if how == "key":
        page.keyboard.press("Escape")
    else:
        page.get_by_role("button", name="Stop").click()
    expect(page.locator(".reply .note")).to_have_text("Stopped.")
    expect(page.locator(".thinking")).to_contain_text("rehearsal")
    until(lambda: slow_engine.running() == 0)
    expect(page.get_by_role("button", name="Send")).to_be_visible()


def test_a_later_question_brings_the_earlier_turns_along(
    visit: Callable[..., Page], engine: Served, sound: Any
) -> None:
    page = visit(engine.url)
    add(page, sound())
    ask(page, "First?")
    first = answered(page)
    with page.expect_request("**/chat/completions") as sent:
        ask(page, "Second?")
    messages = sent.value.post_data_json["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[1]["content"] == first
    assert messages[2]["content"] == [{"type": "text", "text": "Second?"}]
    assert len(sounds_of(sent.value.post_data_json)) == 1
    expect(page.locator(".reply")).to_have_count(2)


def test_what_was_stopped_before_its_answer_joins_the_next_question(
    visit: Callable[..., Page], slow_engine: Served, sound: Any
) -> None:
    page = visit(slow_engine.url)
    add(page, sound())
    ask(page, "First?")
    expect(page.locator(".thinking")).to_contain_text("rehearsal")
    page.keyboard.press("Escape")
    expect(page.locator(".reply .note")).to_be_visible()
    with page.expect_request("**/chat/completions") as sent:
        ask(page, "Rather this?")
    (message,) = sent.value.post_data_json["messages"]
    assert [part.get("text", part["type"]) for part in message["content"]] == ["input_audio", "First?", "Rather this?"]


def test_several_files_go_in_their_order_and_one_can_be_taken_away(
    visit: Callable[..., Page], engine: Served, sound: Any
) -> None:
    page = visit(engine.url)
    for seconds in (1, 2, 3):
        add(page, sound(seconds), f"{seconds}.wav")
    page.get_by_role("button", name="Remove 2.wav").click()
    ask(page)
    answer = answered(page)
    assert "Clip 1: 1.00 s" in answer
    assert "Clip 2: 3.00 s" in answer


def test_files_chosen_together_keep_their_order_whichever_is_decoded_first(
    visit: Callable[..., Page], engine: Served, sound: Any
) -> None:
    page = visit(engine.url)
    files = [{"name": f"{seconds}.wav", "mimeType": "audio/wav", "buffer": sound(seconds)} for seconds in (120, 1, 2)]
    page.locator("input[type=file]").set_input_files(files)
    expect(page.get_by_role("button", name="Remove 120.wav")).to_be_visible()
    with page.expect_request("**/chat/completions") as sent:
        ask(page)
    sizes = [len(data) for data in sounds_of(sent.value.post_data_json)]
    assert sizes[0] > sizes[2] > sizes[1]


def test_try_again_asks_the_same_and_takes_the_old_answer_away(
    visit: Callable[..., Page], engine: Served, sound: Any
) -> None:
    page = visit(engine.url)
    add(page, sound())
    with page.expect_request("**/chat/completions") as first:
        ask(page)
    answered(page)
    with page.expect_request("**/chat/completions") as second:
        page.get_by_role("button", name="Try again").click()
    answered(page)
    assert second.value.post_data_json == first.value.post_data_json
    expect(page.locator(".reply")).to_have_count(1)


def test_copy_takes_the_answer_alone(visit: Callable[..., Page], engine: Served) -> None:
    page = visit(engine.url, permissions=["clipboard-read", "clipboard-write"])
    ask(page)
    answer = answered(page)
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#status")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == answer


def test_a_copy_that_the_browser_refuses_is_said_to_be_so(visit: Callable[..., Page], engine: Served) -> None:
    page = visit(engine.url)
    ask(page)
    answered(page)
    page.evaluate(REFUSE_TO_COPY)
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#status")).to_have_text("Not copied")
    expect(page.get_by_role("alert")).to_contain_text("does not let this page copy")


def test_stop_and_new_work_while_the_server_says_nothing(visit: Callable[..., Page], engine: Served) -> None:
    page = visit(engine.url)
    expect(page.locator("#model")).to_have_text("Step-Audio-R1")
    page.evaluate("served = null")
    page.route("**/v1/models", lambda _: None)
    ask(page, "First?")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".reply .note")).to_have_text("Stopped.")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    page.get_by_role("button", name="New conversation").click()
    page.unroute("**/v1/models")
    ask(page, "Second?")
    assert "no model listened" in answered(page)
    expect(page.locator(".question")).to_have_text("Second?")


def test_a_task_writes_its_question_for_the_person_to_see_and_change(
    visit: Callable[..., Page], engine: Served
) -> None:
    page = visit(engine.url)
    question, translate = page.get_by_label("Your question"), page.get_by_role("button", name="Translate")
    translate.click()
    expect(translate).to_have_attribute("aria-pressed", "true")
    expect(question).to_be_focused()
    question.fill(question.input_value().replace("English", "Welsh"))
    expect(translate).to_have_attribute("aria-pressed", "false")
    with page.expect_request("**/chat/completions") as sent:
        page.keyboard.press("Enter")
    assert (
        "Translate every word that is said into Welsh" in sent.value.post_data_json["messages"][0]["content"][0]["text"]
    )
    answered(page)


def test_the_tasks_are_those_of_ask_word_for_word(visit: Callable[..., Page], engine: Served) -> None:
    page = visit(engine.url)
    shown = page.evaluate("TASKS")
    tasks = {task.name.title(): task.prompt.format(to=task.to) for task in all_tasks()}
    assert shown == tasks


def test_the_sound_alone_may_be_the_question(visit: Callable[..., Page], engine: Served, sound: Any) -> None:
    page = visit(engine.url)
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    add(page, sound())
    page.get_by_role("button", name="Send").click()
    assert "Clip 1: 2.40 s" in answered(page)
