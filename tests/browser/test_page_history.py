"""Conversations kept in the browser: there after a reload, gone when deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hands import add, answered, ask, sounds_of
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import BrowserContext, Page
    from servers import Served

pytestmark = pytest.mark.chromium

COUNTS = """async () => [
    await stored("readonly", (talks) => talks.count()),
    await stored("readonly", (_, sounds) => sounds.count()),
]"""
"""How many conversations and sounds the browser keeps for the page."""


HOLD = """async () => {
    const held = (await archive()).transaction(["conversations", "sounds"], "readwrite");
    (function again() { if (!window.released) held.objectStore("sounds").count().onsuccess = again; })();
}"""
"""Keeps the browser's storage from answering until `released` is set."""


def conversation(page: Page, sound: bytes, question: str) -> str:
    page.get_by_role("button", name="New conversation").click()
    add(page, sound)
    ask(page, question)
    return answered(page)


def test_a_conversation_and_its_sound_are_there_after_a_reload(
    visit: Callable[..., Page], engine: Served, sound: Any
) -> None:
    page = visit(engine.url)
    answer = conversation(page, sound(1), "First?")
    page.reload()
    expect(page.locator(".answer")).to_have_text(answer)
    expect(page.locator(".question")).to_contain_text("First?")
    expect(page.get_by_role("button", name="Play tone.wav")).to_be_enabled()
    with page.expect_request("**/chat/completions") as sent:
        ask(page, "Second?")
    request = sent.value.post_data_json
    assert [message["role"] for message in request["messages"]] == ["user", "assistant", "user"]
    assert len(sounds_of(request)) == 1
    assert "Clip 1: 1.00 s" in answered(page)


def test_an_answer_cut_off_by_a_reload_can_be_asked_for_again(
    visit: Callable[..., Page], slow_engine: Served, sound: Any
) -> None:
    page = visit(slow_engine.url)
    add(page, sound())
    ask(page)
    expect(page.locator(".thinking")).to_contain_text("rehearsal")
    page.reload()
    expect(page.locator(".reply .note")).to_have_text("Stopped.")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".thinking")).to_contain_text("rehearsal")


def test_an_answer_cut_off_by_closing_the_tab_can_be_asked_for_again(
    someone: Callable[..., BrowserContext], slow_engine: Served
) -> None:
    browser = someone(slow_engine.url)
    page = browser.new_page()
    page.goto(slow_engine.url)
    ask(page)
    expect(page.locator(".thinking")).to_contain_text("rehearsal")
    page.close()
    page = browser.new_page()
    page.goto(slow_engine.url)
    page.get_by_role("button", name="History").click()
    page.locator("#past .open").click()
    expect(page.locator(".reply .note")).to_have_text("Stopped.")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_what_is_asked_while_a_conversation_is_loaded_stays(visit: Callable[..., Page], engine: Served) -> None:
    page = visit(engine.url)
    ask(page, "Old?")
    answered(page)
    old = page.url
    page.get_by_role("button", name="New conversation").click()
    page.evaluate(HOLD)
    page.goto(old)
    page.evaluate("() => { window.loading = resume(); }")
    ask(page, "New?")
    page.evaluate("async () => { window.released = true; await loading; }")
    assert "no model listened" in answered(page)
    expect(page.locator(".question")).to_have_text("New?")


def test_what_two_tabs_make_of_one_conversation_is_kept_both(
    someone: Callable[..., BrowserContext], engine: Served, sound: Any
) -> None:
    browser = someone(engine.url)
    one, other = browser.new_page(), browser.new_page()
    one.goto(engine.url)
    conversation(one, sound(1), "Both?")
    shared = one.url
    other.goto(shared)
    ask(other, "Other?")
    expect(other.locator(".reply")).to_have_count(2)
    answered(other)
    ask(one, "One?")
    expect(one.get_by_role("alert")).to_contain_text("went on in another tab")
    answered(one)
    for url, last in ((shared, "Other?"), (one.url, "One?")):
        page = browser.new_page()
        page.goto(url)
        expect(page.locator(".question .text")).to_have_text(["Both?", last])
        expect(page.get_by_role("button", name="Play tone.wav")).to_be_enabled()
    assert one.evaluate(COUNTS) == [2, 2]


def test_the_history_opens_any_conversation_and_deletes_it_with_its_sound(
    visit: Callable[..., Page], engine: Served, sound: Any
) -> None:
    page = visit(engine.url)
    first = conversation(page, sound(1), "First?")
    conversation(page, sound(2), "Second?")
    page.get_by_role("button", name="History").click()
    entries = page.locator("#past .open span")
    expect(entries).to_have_text(["Second? · tone.wav", "First? · tone.wav"])
    entries.nth(1).click()
    expect(page.locator(".answer")).to_have_text(first)
    page.get_by_role("button", name="History").click()
    page.get_by_role("button", name="Delete First?").click()
    expect(entries).to_have_count(1)
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".turn")).to_have_count(0)
    assert page.evaluate(COUNTS) == [1, 1]


def test_everything_is_deleted_only_when_said_twice(visit: Callable[..., Page], engine: Served, sound: Any) -> None:
    page = visit(engine.url)
    conversation(page, sound(1), "First?")
    conversation(page, sound(1), "Second?")
    page.get_by_role("button", name="History").click()
    page.get_by_role("button", name="Delete all").click()
    assert page.evaluate(COUNTS) == [2, 2]
    page.get_by_role("button", name="Really delete all?").click()
    expect(page.locator("#history-about")).to_contain_text("Nothing yet.")
    assert page.evaluate(COUNTS) == [0, 0]
    page.reload()
    expect(page.locator("#welcome")).to_be_visible()


def test_an_answer_on_its_way_does_not_bring_a_deleted_conversation_back(
    visit: Callable[..., Page], slow_engine: Served
) -> None:
    page = visit(slow_engine.url)
    ask(page)
    expect(page.locator(".thinking")).to_contain_text("rehearsal")
    page.get_by_role("button", name="History").click()
    page.get_by_role("button", name="Delete What do you hear?").click()
    expect(page.locator("#past .open")).to_have_count(0)
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    assert page.evaluate(COUNTS) == [0, 0]


@pytest.mark.parametrize("how", ["Delete What do you hear?", "Delete all"])
def test_a_conversation_left_and_deleted_is_not_kept_again(
    visit: Callable[..., Page], engine: Served, how: str
) -> None:
    page = visit(engine.url)
    ask(page)
    answered(page)
    page.evaluate("() => { window.left = talk; }")
    page.get_by_role("button", name="New conversation").click()
    page.get_by_role("button", name="History").click()
    page.get_by_role("button", name=how).click()
    if how == "Delete all":
        page.get_by_role("button", name="Really delete all?").click()
    expect(page.locator("#past .open")).to_have_count(0)
    page.evaluate("save(left)")
    assert page.evaluate(COUNTS) == [0, 0]


def test_a_browser_that_keeps_nothing_still_asks(visit: Callable[..., Page], engine: Served) -> None:
    page = visit(engine.url)
    page.evaluate("Object.defineProperty(window, 'indexedDB', { value: { open() { throw new Error('not here'); } } })")
    page.evaluate("database = undefined")
    ask(page)
    assert "no model listened" in answered(page)
    expect(page.get_by_role("alert")).to_contain_text("This conversation is not kept")
