from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from stepaudio_serve.guard.page import Page, content_security_policy, load_page

if TYPE_CHECKING:
    from pathlib import Path

    from stepaudio_serve.guard.asgi import Message

HTML = "<!doctype html><style>p { color: red }</style>\n<script type=module>\nlet a = 1 < 2\n</script><p>Zdravím"


@pytest.fixture
def page(tmp_path: Path) -> Page:
    file = tmp_path / "page.html"
    file.write_text(HTML, encoding="utf-8")
    loaded = load_page(file)
    assert loaded is not None
    return loaded


def ask(page: Page, *headers: tuple[bytes, bytes], method: str = "GET") -> tuple[int, dict[bytes, bytes], bytes]:
    scope: dict[str, Any] = {"method": method, "headers": list(headers)}
    messages: list[Message] = page.answer(scope)
    return messages[0]["status"], dict(messages[0]["headers"]), messages[1]["body"]


def digest(block: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()}'"


def test_it_is_served_to_the_byte(page: Page) -> None:
    status, headers, body = ask(page)
    assert (status, body) == (200, HTML.encode())
    assert headers[b"content-type"] == b"text/html; charset=utf-8"
    assert int(headers[b"content-length"]) == len(body)


def test_head_tells_the_length_alone(page: Page) -> None:
    status, headers, body = ask(page, method="HEAD")
    assert (status, body) == (200, b"")
    assert int(headers[b"content-length"]) == len(HTML.encode())


def test_nothing_may_run_but_what_is_in_it(page: Page) -> None:
    policy = ask(page)[1][b"content-security-policy"].decode().split("; ")
    assert "default-src 'none'" in policy
    assert f"script-src {digest(chr(10) + 'let a = 1 < 2' + chr(10))}" in policy
    assert f"style-src {digest('p { color: red }')}" in policy
    assert {"connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} <= set(policy)
    assert {"img-src data:", "media-src blob:", "require-trusted-types-for 'script'", "trusted-types 'none'"} <= set(
        policy
    )
    assert not any("worker" in directive for directive in policy)
    assert not any("unsafe" in directive or "http" in directive for directive in policy)


def test_every_block_has_its_hash_and_a_page_without_any_runs_none() -> None:
    two = content_security_policy("<script>a</script><SCRIPT>b</SCRIPT >").decode()
    assert f"script-src {digest('a')} {digest('b')};" in two
    assert "style-src 'none';" in two


def test_lines_are_hashed_as_a_browser_reads_them() -> None:
    assert content_security_policy("<script>a\r\nb</script>") == content_security_policy("<script>a\nb</script>")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cache-control", b"no-cache"),
    ],
)
def test_it_has_the_headers_of_a_careful_page(page: Page, name: bytes, value: bytes) -> None:
    assert ask(page)[1][name] == value


def test_it_may_use_the_microphone_and_nobody_within_it(page: Page) -> None:
    assert b"microphone=(self)" in ask(page)[1][b"permissions-policy"]


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_a_browser_that_has_it_is_not_sent_it_again(page: Page, form: str) -> None:
    known = form.format(page.etag.decode()).encode()
    status, headers, body = ask(page, (b"if-none-match", known))
    assert (status, body) == (304, b"")
    assert headers[b"etag"] == page.etag


def test_another_page_has_another_tag(page: Page) -> None:
    assert ask(page, (b"if-none-match", b'"other"'))[0] == 200


def test_without_the_file_there_is_no_page(tmp_path: Path) -> None:
    assert load_page(tmp_path / "page.html") is None
