"""For everybody: by keyboard alone, on a small screen, in light and dark, with little motion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hands import add, answered, ask
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page
    from servers import Served

pytestmark = pytest.mark.chromium

CONTRAST = """(selector) => {
    const channels = (colour) => {
        const paint = new OffscreenCanvas(1, 1).getContext("2d");
        paint.fillStyle = colour;
        paint.fillRect(0, 0, 1, 1);
        return [...paint.getImageData(0, 0, 1, 1).data];
    };
    const luminance = (colour) => channels(colour).slice(0, 3)
        .map((value) => value / 255)
        .map((value) => value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4)
        .reduce((sum, value, at) => sum + value * [.2126, .7152, .0722][at], 0);
    const node = document.querySelector(selector);
    const painted = (one) => channels(getComputedStyle(one).backgroundColor)[3] > 0;
    let behind = node;
    while (behind.parentElement && !painted(behind)) behind = behind.parentElement;
    const pair = [getComputedStyle(node).color, getComputedStyle(behind).backgroundColor].map(luminance);
    return (Math.max(...pair) + .05) / (Math.min(...pair) + .05);
}"""
"""The contrast of an element's text with what is behind it (WCAG 2.2, 1.4.3 asks for 4.5)."""

SHIFTS = """() => new Promise((tell) => {
    new PerformanceObserver((list) => tell(list.getEntries().reduce((sum, entry) => sum + entry.value, 0)))
        .observe({ type: "layout-shift", buffered: true });
    setTimeout(() => tell(0), 300);
})"""
"""How far things moved since the page was opened (https://web.dev/articles/cls)."""

HEIGHTS = """() => {
    window.heights = [];
    const attached = document.querySelector("#attached");
    const note = () => heights.push(attached.getBoundingClientRect().height);
    new MutationObserver(note).observe(attached, { childList: true });
}"""
"""Notes how tall the attached files are whenever their list changes."""


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_the_keyboard_alone_does_it_all(visit: Callable[..., Page], slow_engine: Served) -> None:
    page = visit(slow_engine.url)
    page.keyboard.press("Tab")
    seen = []
    while page.evaluate("document.activeElement.id") != "record":
        seen.append(page.evaluate("document.activeElement.ariaLabel || document.activeElement.textContent || ''"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid" or page.evaluate("document.activeElement.id") == "question"
        page.keyboard.press("Tab")
        assert len(seen) < 30
    assert {"New conversation", "History", "Dark or light", "Transcribe", "Summarize", "Add a file"} <= set(seen)
    page.keyboard.press("r")
    expect(page.get_by_role("button", name="Done")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_label("Your question")).to_be_focused()
    expect(page.locator("#attached .clip")).to_have_count(0)
    page.keyboard.type("A roar?")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("Or rain?")
    page.keyboard.press("Enter")
    expect(page.locator(".question .text")).to_have_text("A roar?\nOr rain?")
    expect(page.get_by_label("Your question")).to_have_value("")
    expect(page.locator(".thinking")).to_contain_text("rehearsal")
    page.keyboard.press("Escape")
    expect(page.locator(".reply .note")).to_have_text("Stopped.")


def test_what_happens_is_told_to_those_who_listen(visit: Callable[..., Page], engine: Served) -> None:
    page = visit(engine.url)
    ask(page)
    answered(page)
    expect(page.get_by_role("status")).to_have_text("The answer is complete")
    expect(page.locator(".answer")).to_have_attribute("aria-live", "polite")
    expect(page.locator(".answer")).to_have_attribute("aria-busy", "false")
    unnamed = (
        "[...document.querySelectorAll('button')].filter((one) => !(one.ariaLabel || one.textContent.trim())).length"
    )
    assert page.evaluate(unnamed) == 0


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_nothing_is_wider_than_the_screen(visit: Callable[..., Page], engine: Served, sound: Any, width: int) -> None:
    page = visit(engine.url, viewport={"width": width, "height": 640})

    def fits() -> bool:
        return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))

    assert fits()
    add(page, sound(), "a name without any space that goes on and on and on and on.wav".replace(" ", "_"))
    assert fits()
    ask(page, "w" * 300)
    answered(page)
    assert fits()
    page.get_by_role("button", name="Record the microphone").click()
    expect(page.locator("#recording")).to_be_visible()
    assert fits()
    page.get_by_role("button", name="Discard").click()
    page.get_by_role("button", name="History").click()
    assert fits()
    box = page.get_by_role("dialog").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(
    visit: Callable[..., Page], engine: Served, sound: Any, scheme: str
) -> None:
    page = visit(engine.url, color_scheme=scheme)
    assert background(page) == {"light": "rgb(250, 249, 246)", "dark": "rgb(19, 20, 22)"}[scheme]
    for selector in ("#welcome p", "#place small", "#tasks button", "#model"):
        assert page.evaluate(CONTRAST, selector) >= 4.5, selector
    add(page, sound())
    ask(page)
    answered(page)
    for selector in (".answer", ".thinking", ".tools small", ".tools button", ".question .name", ".question .text"):
        assert page.evaluate(CONTRAST, selector) >= 4.5, selector


def test_the_theme_is_the_persons_choice_and_stays(visit: Callable[..., Page], engine: Served) -> None:
    page = visit(engine.url, color_scheme="light")
    light = background(page)
    page.get_by_role("button", name="Dark or light").click()
    dark = background(page)
    assert dark != light
    page.reload()
    assert background(page) == dark
    page.get_by_role("button", name="Dark or light").click()
    assert background(page) == light


def test_nothing_moves_for_those_who_want_less_motion(visit: Callable[..., Page], slow_engine: Served) -> None:
    page = visit(slow_engine.url, reduced_motion="reduce")
    ask(page)
    expect(page.locator(".thinking")).to_contain_text("rehearsal")
    assert page.evaluate("document.getAnimations().length") == 0
    page.keyboard.press("Escape")


def test_the_page_does_not_jump_as_it_loads_or_reads_a_file(
    visit: Callable[..., Page], engine: Served, sound: Any
) -> None:
    page = visit(engine.url)
    expect(page.locator("#model")).to_have_text("Step-Audio-R1")
    assert page.evaluate(SHIFTS) < 0.01
    page.evaluate(HEIGHTS)
    add(page, sound())
    assert len(page.evaluate("heights")) == 2
    assert len(set(page.evaluate("heights"))) == 1
