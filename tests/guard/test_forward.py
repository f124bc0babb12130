from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from stepaudio_serve.guard import forward
from stepaudio_serve.guard.body import ClientGoneError
from stepaudio_serve.guard.forward import prepared_scope, unique_id, unless_gone, with_body
from stepaudio_serve.guard.prepared import Prepared

if TYPE_CHECKING:
    from stepaudio_serve.guard.asgi import Message

GONE: Message = {"type": "http.disconnect"}
CHAT = "/v1/chat/completions"


def scope(path: str, *headers: tuple[bytes, bytes], root_path: str = "") -> dict[str, Any]:
    return {"method": "POST", "path": path, "raw_path": path.encode(), "root_path": root_path, "headers": [*headers]}


class TestScope:
    @pytest.mark.parametrize(
        ("path", "root_path", "target"),
        [
            ("/v1/audio/transcriptions", "", CHAT),
            ("/audio/v1/audio/transcriptions", "/audio", "/audio" + CHAT),
            ("/v1/audio/transcriptions", "/audio", CHAT),
        ],
    )
    def test_the_route_changes_and_the_root_does_not(self, path: str, root_path: str, target: str) -> None:
        made = prepared_scope(scope(path, root_path=root_path), Prepared(CHAT, b"{}"))
        assert (made["path"], made["raw_path"], made["root_path"]) == (target, target.encode(), root_path)

    def test_the_headers_are_those_of_what_is_sent(self) -> None:
        given = [
            (b"host", b"h"),
            (b"content-length", b"999"),
            (b"content-type", b"multipart/form-data; boundary=x"),
            (b"content-encoding", b"identity"),
            (b"transfer-encoding", b"chunked"),
            (b"accept-encoding", b"gzip"),
            (b"origin", b"https://page.example"),
            (b"expect", b"100-continue"),
            (b"x-data-parallel-rank", b"7"),
            (b"x-vllm-priority", b"-9"),
            (b"x-session-id", b"another's"),
            (b"x-forwarded-for", b"192.0.2.1"),
            (b"authorization", b"Bearer key"),
            (b"traceparent", b"00-1"),
        ]
        made = prepared_scope(scope(CHAT, *given), Prepared(CHAT, b"{}"))
        assert made["headers"] == [
            (b"host", b"h"),
            (b"x-forwarded-for", b"192.0.2.1"),
            (b"authorization", b"Bearer key"),
            (b"traceparent", b"00-1"),
            (b"content-type", b"application/json"),
            (b"content-length", b"2"),
        ]

    def test_the_clients_own_request_is_left_as_it_was(self) -> None:
        client = scope(CHAT, (b"origin", b"o"))
        prepared_scope(client, Prepared(CHAT, b"{}"))
        assert client == scope(CHAT, (b"origin", b"o"))

    def test_two_requests_of_one_name_are_told_apart(self) -> None:
        names = {unique_id(b"my request\r\n\xff") for _ in range(20)}
        assert len(names) == 20
        assert all(name.startswith(b"myrequest-") for name in names)
        assert len(unique_id(b"x" * 10_000)) < 100


class TestReceive:
    def test_the_body_comes_first_and_once_and_then_the_client(self) -> None:
        async def leaving() -> Message:
            return GONE

        async def twice() -> list[Message]:
            receive = with_body(b"{}", leaving, lambda: given.append(True))
            return [await receive(), await receive(), await receive()]

        given: list[bool] = []

        body = {"type": "http.request", "body": b"{}", "more_body": False}
        assert asyncio.run(twice()) == [body, GONE, GONE]
        assert given == [True]


class TestLeaving:
    @pytest.fixture(autouse=True)
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(forward, "PROMPT_SECONDS", 0)

    def test_work_for_a_client_that_left_is_given_up(self) -> None:
        async def leaving() -> bool:
            stopped = asyncio.Event()

            async def work() -> None:
                try:
                    await asyncio.Event().wait()
                finally:
                    await asyncio.sleep(0)
                    stopped.set()

            async def receive() -> Message:
                return GONE

            with pytest.raises(ClientGoneError):
                await unless_gone(work(), receive)
            return stopped.is_set()

        assert asyncio.run(leaving())

    def test_work_for_a_client_that_stays_is_done(self) -> None:
        async def staying() -> str:
            go = asyncio.Event()

            async def receive() -> Message:
                go.set()
                await asyncio.Event().wait()
                return GONE

            async def work() -> str:
                await go.wait()
                return "done"

            return await unless_gone(work(), receive)

        assert asyncio.run(staying()) == "done"

    def test_what_the_work_raises_is_raised(self) -> None:
        async def work() -> None:
            raise ZeroDivisionError

        async def receive() -> Message:
            await asyncio.Event().wait()
            return GONE

        with pytest.raises(ZeroDivisionError):
            asyncio.run(unless_gone(work(), receive))
