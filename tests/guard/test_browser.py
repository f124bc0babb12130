from __future__ import annotations

from typing import Any

import pytest

from stepaudio_serve.guard.browser import judge_browser, judge_host

CHAT = "/v1/chat/completions"
PAGE = (b"origin", b"https://page.example")


def site(name: str) -> tuple[bytes, bytes]:
    return (b"sec-fetch-site", name.encode())


def passes(method: str, path: str, *headers: tuple[bytes, bytes], origins: tuple[str, ...] = ()) -> bool:
    scope: dict[str, Any] = {"method": method, "headers": [(b"host", b"server:9999"), *headers]}
    return judge_browser(scope, origins, path) is None


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_clients_that_are_no_browsers_pass(method: str) -> None:
    assert passes(method, CHAT)


@pytest.mark.parametrize("headers", [(PAGE, site("cross-site")), (site("cross-site"),)])
@pytest.mark.parametrize(("method", "path"), [("POST", CHAT), ("GET", "/v1/models"), ("GET", "/health")])
def test_what_a_page_elsewhere_asks_for_does_not(method: str, path: str, headers: Any) -> None:
    assert not passes(method, path, *headers)


def test_a_form_of_another_port_on_this_machine_does_not_either() -> None:
    assert not passes("POST", "/v1/audio/transcriptions", (b"origin", b"http://server:3000"), site("same-site"))


@pytest.mark.parametrize("origin", [b"https://page.example", b"null", b"http://server:3000", b"http://server"])
def test_nor_does_a_form_from_a_browser_that_only_says_its_origin(origin: bytes) -> None:
    assert not passes("POST", "/v1/audio/transcriptions", (b"origin", origin))


@pytest.mark.parametrize(
    "headers",
    [
        ((b"origin", b"http://server:9999"), site("same-origin")),
        ((b"origin", b"https://behind.a.proxy"), site("same-origin")),
        ((b"origin", b"http://server:9999"),),
        ((b"origin", b"http://SERVER:9999"),),
        (site("none"),),
    ],
)
def test_the_servers_own_page_passes(headers: Any) -> None:
    assert passes("POST", CHAT, *headers)


def test_a_link_to_the_page_may_be_followed() -> None:
    assert passes("GET", "/", site("cross-site"), (b"sec-fetch-mode", b"navigate"))
    assert not passes("GET", "/", site("cross-site"), (b"sec-fetch-mode", b"no-cors"))
    assert not passes("GET", "/v1/models", site("cross-site"), (b"sec-fetch-mode", b"navigate"))


@pytest.mark.parametrize("origins", [("https://page.example",), ("https://a.example", "https://page.example"), ("*",)])
def test_a_page_that_may_call_passes(origins: tuple[str, ...]) -> None:
    assert passes("POST", CHAT, PAGE, site("cross-site"), origins=origins)


@pytest.mark.parametrize(
    "origin",
    [b"https://page.example.evil", b"http://page.example", b"https://page.example:444", b"null", b"*", b"\xff"],
)
def test_one_that_only_looks_like_it_does_not(origin: bytes) -> None:
    assert not passes("POST", CHAT, (b"origin", origin), site("cross-site"), origins=("https://page.example",))


def test_two_origins_are_none() -> None:
    assert not passes("POST", CHAT, PAGE, PAGE, site("cross-site"), origins=("https://page.example",))


def test_the_refusal_says_how_to_allow_it() -> None:
    refusal = judge_browser({"method": "POST", "headers": [site("cross-site")]}, (), CHAT)
    assert refusal is not None
    assert refusal.status == 403
    assert "--guard-cors-origins" in refusal.message


class TestRebinding:
    def judged(self, host: bytes, *headers: tuple[bytes, bytes], origins: tuple[str, ...] = ()) -> bool:
        return judge_host({"headers": [(b"host", host), *headers]}, origins) is None

    @pytest.mark.parametrize("header", [(b"origin", b"http://evil.example"), site("same-origin")])
    @pytest.mark.parametrize(
        ("host", "passes"),
        [
            (b"127.0.0.1:9999", True),
            (b"192.168.1.7", True),
            (b"[::1]:9999", True),
            (b"localhost:9999", True),
            (b"LOCALHOST", True),
            (b"audio.localhost:80", True),
            (b"evil.example:9999", False),
            (b"localhost.evil.example", False),
            (b"127.0.0.1.evil.example", False),
            (b"evil.example#localhost", False),
            (b"localhost@evil.example", False),
            (b"[::1", False),
            (b"", False),
        ],
    )
    def test_a_browser_calls_by_address_or_as_localhost(self, header: Any, host: bytes, passes: bool) -> None:
        assert self.judged(host, header) is passes

    def test_two_names_are_none(self) -> None:
        assert not self.judged(b"localhost", (b"host", b"evil.example"), site("same-origin"))

    def test_other_clients_call_by_any_name(self) -> None:
        assert self.judged(b"engine:9999")

    def test_so_may_a_browser_by_the_name_of_a_configured_origin_or_from_it(self) -> None:
        configured = ("https://gpu.example:8443",)
        assert self.judged(b"GPU.example", site("same-origin"), origins=configured)
        assert self.judged(b"other.example", (b"origin", configured[0].encode()), origins=configured)
        assert not self.judged(b"other.example", site("same-origin"), origins=configured)
        assert self.judged(b"other.example", site("same-origin"), origins=("*",))

    def test_the_refusal_says_what_to_do(self) -> None:
        refusal = judge_host({"headers": [site("same-origin")]}, ())
        assert refusal is not None
        assert refusal.status == 403
        assert "--api-key-file" in refusal.message
        assert "--guard-cors-origins" in refusal.message
