"""What a person does on the page, and what was sent by it."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

PATIENCE_SECONDS = 30


def add(page: Page, data: bytes, name: str = "tone.wav") -> None:
    """Chooses a file, and waits until it is read."""
    before = page.locator("#attached .clip").count()
    page.set_input_files("#files", {"name": name, "mimeType": "", "buffer": data})
    page.locator("#attached .clip").nth(before).get_by_role("button", name=f"Remove {name}").wait_for()


def ask(page: Page, question: str = "What do you hear?") -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")


def answered(page: Page) -> str:
    """The last answer, once it is complete."""
    page.locator(".reply").last.locator(".tools").wait_for()
    return page.locator(".answer").last.inner_text()


def sounds_of(request: Any) -> list[bytes]:
    """The sounds in the request body `request`."""
    parts = [part for message in request["messages"] if message["role"] == "user" for part in message["content"]]
    return [base64.b64decode(part["input_audio"]["data"]) for part in parts if part["type"] == "input_audio"]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not so after {PATIENCE_SECONDS} s")
        time.sleep(0.02)
