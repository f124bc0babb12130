from __future__ import annotations

from stepaudio_serve.guard.cors import leave, preflight_leave


def test_leave_names_the_origin_and_says_that_answers_differ() -> None:
    headers = dict(leave(b"https://page.example", ("https://page.example",)))
    assert headers[b"access-control-allow-origin"] == b"https://page.example"
    assert headers[b"vary"] == b"Origin"


def test_leave_for_all_names_nobody() -> None:
    headers = dict(leave(b"https://page.example", ("*",)))
    assert headers[b"access-control-allow-origin"] == b"*"


def test_what_the_guard_says_of_itself_may_be_read() -> None:
    exposed = dict(leave(b"o", ("*",)))[b"access-control-expose-headers"]
    assert {b"x-stepaudio-max-tokens", b"x-stepaudio-notice", b"retry-after"} <= set(exposed.split(b", "))


def test_cookies_are_never_asked_for() -> None:
    assert b"access-control-allow-credentials" not in dict(leave(b"o", ("o",)) + preflight_leave(("POST",)))
