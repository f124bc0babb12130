"""The API key: asked for when the server wants one, kept as long as the person says, and no longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hands import answered, ask
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Serve
    from playwright.sync_api import BrowserContext, Page
    from servers import Served

pytestmark = pytest.mark.chromium

KEY = "open-sesame"


@pytest.fixture(scope="module")
def locked(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """An engine that answers only with the key."""
    file: Path = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text(KEY)
    return serve(STEPAUDIO_GUARD_API_KEY_FILE=str(file))


def enter(page: Page, key: str, *, remember: bool = False) -> None:
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_label("Remember on this computer").set_checked(remember)
    page.get_by_role("button", name="Continue").click()


def test_no_key_is_asked_for_where_none_is_needed(visit: Callable[..., Page], engine: Served) -> None:
    page = visit(engine.url)
    expect(page.locator("#model")).to_have_text("Step-Audio-R1")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_wrong_key_is_asked_for_again(visit: Callable[..., Page], locked: Served) -> None:
    page = visit(locked.url)
    enter(page, "guess")
    expect(page.get_by_role("dialog")).to_contain_text("That key was not accepted.")
    enter(page, KEY)
    expect(page.locator("#model")).to_have_text("Step-Audio-R1")
    ask(page)
    assert "no model listened" in answered(page)


def test_a_key_lasts_as_long_as_the_tab(someone: Callable[..., BrowserContext], locked: Served) -> None:
    browser = someone(locked.url)
    page = browser.new_page()
    page.goto(locked.url)
    enter(page, KEY)
    expect(page.locator("#model")).to_have_text("Step-Audio-R1")
    page.reload()
    expect(page.locator("#model")).to_have_text("Step-Audio-R1")
    assert KEY not in page.evaluate("JSON.stringify(localStorage)")
    other = browser.new_page()
    other.goto(locked.url)
    expect(other.get_by_role("dialog")).to_be_visible()


def test_a_remembered_key_lasts_until_it_is_forgotten(someone: Callable[..., BrowserContext], locked: Served) -> None:
    browser = someone(locked.url)
    page = browser.new_page()
    page.goto(locked.url)
    enter(page, KEY, remember=True)
    expect(page.locator("#model")).to_have_text("Step-Audio-R1")
    page.close()
    page = browser.new_page()
    page.goto(locked.url)
    expect(page.locator("#model")).to_have_text("Step-Audio-R1")
    page.get_by_role("button", name="History").click()
    page.get_by_role("button", name="Forget the API key").click()
    assert KEY not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    page.reload()
    expect(page.get_by_role("dialog")).to_contain_text("This server asks for a key")


def test_a_question_waits_for_the_key_and_can_be_asked_again(visit: Callable[..., Page], locked: Served) -> None:
    page = visit(locked.url)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert")).to_contain_text("only with an API key")
    ask(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".problem")).to_contain_text("only with an API key")
    page.get_by_role("button", name="Try again").click()
    enter(page, KEY)
    assert "no model listened" in answered(page)
