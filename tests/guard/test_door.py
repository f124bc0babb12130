from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepaudio_serve.guard import GuardConfig
from stepaudio_serve.guard.door import ROUTES, judge, route_path
from stepaudio_serve.guard.keys import parse_keys

OPEN = GuardConfig()
LOCKED = GuardConfig(keys=parse_keys(b"key-one\nkey-two\n"))
PASSES = [(method, path) for path, methods in ROUTES.items() for method in methods]
NEEDS_KEY = [(method, path) for method, path in PASSES if path not in {"/", "/health", "/ping"}]


def scope(method: str, path: str, *headers: tuple[bytes, bytes], root_path: str = "") -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "root_path": root_path, "headers": list(headers)}


def bearer(value: str) -> tuple[bytes, bytes]:
    return (b"authorization", value.encode())


def status(config: GuardConfig, request: dict[str, Any]) -> int | None:
    refusal = judge(config, request)
    return refusal and refusal.status


class TestRoutes:
    @pytest.mark.parametrize(("method", "path"), PASSES)
    def test_what_an_ordinary_client_needs_passes(self, method: str, path: str) -> None:
        assert judge(OPEN, scope(method, path)) is None

    @pytest.mark.parametrize(
        "path", ["/invocations", "/pooling", "/detokenize", "/load", "/docs", "/openapi.json", "/redoc"]
    )
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_what_the_engine_leaves_open_is_shut_even_with_the_key(self, method: str, path: str) -> None:
        assert status(OPEN, scope(method, path)) == 404
        assert status(LOCKED, scope(method, path, bearer("Bearer key-one"))) == 404

    @pytest.mark.parametrize(
        "path",
        [
            "",
            "//",
            "//health",
            "/health/",
            "/Health",
            "/v1//models",
            "/v1/models/",
            "/v1/models\n",
            "/v1/../invocations",
            "/health/../invocations",
            "/v1/chat/completions/render",
            "/health;/invocations",
            "/health?x",
            "/v1%2fmodels",
            "/metrics/",
            "/metricsx",
            "*",
            "http://localhost/health",
        ],
    )
    def test_a_route_is_matched_whole_and_literally(self, path: str) -> None:
        assert status(OPEN, scope("GET", path)) == 404

    @given(path=st.text(), method=st.sampled_from(["GET", "POST", "OPTIONS", "DELETE"]))
    def test_no_other_path_passes(self, path: str, method: str) -> None:
        passes = method in ROUTES.get(path, ())
        assert (judge(OPEN, scope(method, path)) is None) is passes

    def test_the_refusal_lists_the_routes_there_are(self) -> None:
        refusal = judge(OPEN, scope("GET", "/docs"))
        assert refusal is not None
        for method, path in PASSES:
            assert f"{method} {path}" in refusal.message

    def test_metrics_can_be_switched_off_and_are_then_not_listed(self) -> None:
        refusal = judge(GuardConfig(metrics=False), scope("GET", "/metrics"))
        assert refusal is not None
        assert refusal.status == 404
        assert "/metrics" not in refusal.message

    def test_the_page_can_be_switched_off(self) -> None:
        assert status(OPEN, scope("HEAD", "/")) is None
        assert status(GuardConfig(page=False), scope("GET", "/")) == 404
        assert status(GuardConfig(page=False), scope("GET", "/metrics")) is None

    @pytest.mark.parametrize(
        ("method", "path", "allow"),
        [
            ("GET", "/v1/chat/completions", b"POST"),
            ("DELETE", "/v1/models", b"GET"),
            ("HEAD", "/health", b"GET"),
            ("PUT", "/ping", b"GET, POST"),
        ],
    )
    def test_a_wrong_method_is_told_the_right_one(self, method: str, path: str, allow: bytes) -> None:
        refusal = judge(OPEN, scope(method, path))
        assert refusal is not None
        assert refusal.status == 405
        assert (b"allow", allow) in refusal.headers

    @pytest.mark.parametrize("path", [*ROUTES, "/invocations"])
    def test_a_browser_of_another_origin_gets_no_leave_to_ask(self, path: str) -> None:
        preflight = scope("OPTIONS", path, (b"origin", b"https://other.example"))
        assert status(OPEN, preflight) in {404, 405}
        assert status(LOCKED, preflight) in {404, 405}


class TestRootPath:
    @pytest.mark.parametrize(
        ("path", "route"),
        [
            ("/audio/health", "/health"),
            ("/health", "/health"),
            ("/audio", ""),
            ("/audio/", "/"),
            ("/audiobook/health", "/audiobook/health"),
            ("/audio/audio/health", "/audio/health"),
        ],
    )
    def test_the_route_is_what_the_engines_own_router_matches(self, path: str, route: str) -> None:
        assert route_path(scope("GET", path, root_path="/audio")) == route

    @given(path=st.text("/ab"), root=st.text("/ab"))
    def test_it_is_starlettes_rule(self, path: str, root: str) -> None:
        starlette = pytest.importorskip("starlette._utils")
        request = scope("GET", path, root_path=root)
        assert route_path(request) == starlette.get_route_path(request)

    def test_a_prefix_neither_opens_a_route_nor_spares_the_key(self) -> None:
        assert status(OPEN, scope("POST", "/audio/invocations", root_path="/audio")) == 404
        assert status(LOCKED, scope("GET", "/audio/v1/models", root_path="/audio")) == 401


class TestKey:
    @pytest.mark.parametrize(("method", "path"), NEEDS_KEY)
    def test_every_other_route_needs_it(self, method: str, path: str) -> None:
        assert status(LOCKED, scope(method, path)) == 401
        assert judge(LOCKED, scope(method, path, bearer("Bearer key-one"))) is None

    @pytest.mark.parametrize("path", ["/", "/health", "/ping"])
    def test_a_health_check_and_the_page_need_none(self, path: str) -> None:
        assert judge(LOCKED, scope("GET", path)) is None
        assert judge(LOCKED, scope("GET", path, bearer("Bearer wrong"))) is None

    @pytest.mark.parametrize("value", ["Bearer key-two", "bearer key-one", "BEARER  key-one "])
    def test_each_key_opens_and_the_scheme_has_no_case(self, value: str) -> None:
        assert judge(LOCKED, scope("GET", "/v1/models", bearer(value))) is None

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "Bearer",
            "Bearer ",
            "key-one",
            "Basic key-one",
            "Bearer key-on",
            "Bearer KEY-ONE",
            "Bearerkey-one",
        ],
    )
    def test_anything_else_does_not(self, value: str) -> None:
        assert status(LOCKED, scope("GET", "/v1/models", bearer(value))) == 401

    def test_two_credentials_in_one_request_are_not_accepted(self) -> None:
        both = scope("GET", "/v1/models", bearer("Bearer key-one"), bearer("Bearer wrong"))
        assert status(LOCKED, both) == 401

    @pytest.mark.parametrize("host", [b"", b"localhost/health?", b"x/health#", b"health", b"a@b:99/ping"])
    def test_the_host_header_has_no_say(self, host: bytes) -> None:
        assert status(LOCKED, scope("GET", "/v1/models", (b"host", host))) == 401
        assert status(LOCKED, scope("POST", "/invocations", (b"host", host))) == 404

    def test_the_refusal_says_how_to_send_the_key_and_never_what_was_sent(self) -> None:
        missing = judge(LOCKED, scope("GET", "/v1/models"))
        wrong = judge(LOCKED, scope("GET", "/v1/models", bearer("Bearer my-guess")))
        assert missing is not None
        assert wrong is not None
        assert (missing.code, wrong.code) == ("missing_api_key", "invalid_api_key")
        for refusal in (missing, wrong):
            assert "Authorization: Bearer KEY" in refusal.message
            assert (b"www-authenticate", b"Bearer") in refusal.headers
        assert "my-guess" not in repr(wrong)
