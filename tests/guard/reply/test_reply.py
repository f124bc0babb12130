from __future__ import annotations

import asyncio
import gc
import json
import logging
import types
from typing import TYPE_CHECKING, Any

import pytest

from stepaudio_serve.guard.prepared import Prepared, Transcript
from stepaudio_serve.guard.reply import reply
from stepaudio_serve.guard.reply.reply import Reply

if TYPE_CHECKING:
    from stepaudio_serve.guard.asgi import Message

CHAT = Prepared("/v1/chat/completions", b"{}", thinking="opened")
JSON = (b"content-type", b"application/json; charset=utf-8")
EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
ANSWER: dict[str, Any] = {
    "choices": [{"index": 0, "message": {"content": "Hm</think>Ja, né"}, "finish_reason": "stop"}],
    "usage": {},
}
CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"Hm"},"finish_reason":null}]}\n\n'


def start(*headers: tuple[bytes, bytes], status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(content: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": more}


class Client:
    """What reached the client, message by message."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.failures = 0

    async def send(self, message: Message) -> None:
        self.got.append(message)

    def answer(self, prepared: Prepared, *messages: Message) -> list[Message]:
        async def answering() -> None:
            passing = Reply(prepared, self.send, self.fail)
            for message in messages:
                await passing(message)

        asyncio.run(answering())
        return self.got

    def fail(self) -> None:
        self.failures += 1

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.got[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.got[1:])


@pytest.fixture
def client() -> Client:
    return Client()


class TestWhole:
    def test_the_thinking_is_sorted_out_and_the_length_is_right(self, client: Client) -> None:
        content = json.dumps(ANSWER).encode()
        client.answer(CHAT, start(JSON, (b"content-length", b"%d" % len(content))), body(content))
        message = json.loads(client.body)["choices"][0]["message"]
        assert (message["content"], message["reasoning"]) == ("Ja, né", "Hm")
        assert int(client.headers[b"content-length"]) == len(client.body)
        assert len(client.got) == 2

    def test_it_may_come_in_pieces(self, client: Client) -> None:
        content = json.dumps(ANSWER).encode()
        client.answer(CHAT, start(JSON), *(body(content[n : n + 1], more=True) for n in range(len(content))), body(b""))
        assert json.loads(client.body)["choices"][0]["message"]["reasoning"] == "Hm"

    def test_one_that_is_too_large_to_look_at_passes_and_says_so(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reply, "LARGEST_ANSWER", 10)
        pieces = [b"1234567", b"1234567", b"1234567"]
        client.answer(CHAT, start(JSON), *(body(piece, more=True) for piece in pieces), body(b"."))
        assert client.body == b"".join(pieces) + b"."
        assert b"too large" in client.headers[b"x-stepaudio-notice"]
        assert client.got[-1]["more_body"] is False


class TestStream:
    def test_each_chunk_goes_on_as_it_comes(self, client: Client) -> None:
        client.answer(CHAT, start(EVENTS), body(CHUNK, more=True))
        assert len(client.got) == 2
        assert b'"reasoning":"Hm"' in client.body

    def test_the_end_is_passed_on(self, client: Client) -> None:
        client.answer(CHAT, start(EVENTS), body(CHUNK, more=True), body(b"data: [DONE]", more=True), body(b""))
        assert client.got[-1]["more_body"] is False
        assert client.body.endswith(b"data: [DONE]")


class TestPassing:
    @pytest.mark.parametrize(
        ("prepared", "head"),
        [
            (Prepared("/v1/completions", b"{}"), start(JSON)),
            (CHAT, start(JSON, status=400)),
            (CHAT, start(EVENTS, status=500)),
            (CHAT, start(JSON, (b"content-encoding", b"gzip"))),
            (CHAT, start((b"content-type", b"text/plain"))),
            (CHAT, start()),
        ],
    )
    def test_an_answer_of_another_kind_passes_to_the_byte(
        self, client: Client, prepared: Prepared, head: Message
    ) -> None:
        pieces = [body(b'{"choices": [{"message": {"content": "Hm</think>"}}]}', more=True), CHUNK_MESSAGE, body(b"x")]
        assert client.answer(prepared, head, *pieces) == [head, *pieces]

    def test_messages_of_other_kinds_pass(self, client: Client) -> None:
        early: Message = {"type": "http.response.debug", "info": {}}
        trailers: Message = {"type": "http.response.trailers", "headers": []}
        client.answer(CHAT, early, start(EVENTS), trailers)
        assert [client.got[0], client.got[-1]] == [early, trailers]

    @pytest.mark.parametrize("status", [200, 400])
    def test_what_was_changed_is_said_in_a_header(self, client: Client, status: int) -> None:
        prepared = Prepared("/v1/completions", b"{}", notices=((b"x-stepaudio-max-tokens", b"12"),))
        client.answer(prepared, start(JSON, status=status), body(b"{}"))
        assert client.headers[b"x-stepaudio-max-tokens"] == b"12"


CHUNK_MESSAGE = body(CHUNK, more=True)


class TestTranscript:
    def test_it_is_made_of_the_answer(self, client: Client) -> None:
        prepared = Prepared("/v1/chat/completions", b"{}", thinking="opened", transcript=Transcript("text", 1.0))
        client.answer(prepared, start(JSON, (b"content-length", b"7")), body(json.dumps(ANSWER).encode()))
        assert client.body.decode() == "Ja, né\n"
        assert client.headers[b"content-type"].startswith(b"text/plain")
        assert int(client.headers[b"content-length"]) == len(client.body)

    def test_one_that_is_cut_off_says_so(self, client: Client) -> None:
        prepared = Prepared("/v1/chat/completions", b"{}", thinking="opened", transcript=Transcript("text", 1.0))
        cut = {"choices": [{**ANSWER["choices"][0], "finish_reason": "length"}]}
        client.answer(prepared, start(JSON), body(json.dumps(cut).encode()))
        assert client.got[0]["status"] == 200
        assert b"cut off" in client.headers[b"x-stepaudio-notice"]

    def test_an_error_of_the_engine_stays_one(self, client: Client) -> None:
        prepared = Prepared("/v1/chat/completions", b"{}", thinking="opened", transcript=Transcript("text", 1.0))
        messages = [start(JSON, status=400), body(b'{"error": {}}')]
        assert client.answer(prepared, *messages) == messages


class TestOwnFailure:
    def test_it_is_told_as_an_error_and_logged_without_the_answer(
        self, client: Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        client.answer(CHAT, start(JSON), body(b'{"choices": "a secret"}'), body(b"more"))
        assert client.got[0]["status"] == 500
        assert json.loads(client.body)["error"]["code"] == "guard_failed"
        assert client.failures == 1
        assert [(record.name, record.levelno) for record in caplog.records] == [("stepaudio.guard", logging.ERROR)]
        assert "a secret" not in caplog.text

    def test_within_a_stream_it_is_the_last_event(self, client: Client) -> None:
        odd = b'data: {"choices":[{"index":[],"delta":{"content":"Hm"}}]}\n\n'
        client.answer(CHAT, start(EVENTS), body(CHUNK, more=True), body(odd, more=True), body(CHUNK, more=True))
        lines = client.body.decode().split("\n\n")
        assert json.loads(lines[1].removeprefix("data: "))["error"]["type"] == "server_error"
        assert lines[2] == "data: [DONE]"
        assert not client.got[-1].get("more_body", False)


def test_what_the_engine_was_given_is_not_kept_while_it_answers(client: Client) -> None:
    prepared = Prepared("/v1/chat/completions", b"x" * 1000, thinking="opened")
    kept = Reply(prepared, client.send, client.fail)
    seen, new = set[int](), list[object]([kept])
    while new:
        found = new.pop()
        if id(found) not in seen and not isinstance(found, (type, types.ModuleType, types.FunctionType)):
            seen.add(id(found))
            new.extend(gc.get_referents(found))
    assert id(kept) in seen
    assert id(prepared.body) not in seen


def test_types_are_judged_by_what_the_engine_says(client: Client) -> None:
    asked_for_a_stream: Any = Prepared("/v1/chat/completions", b"{}", stream=True, thinking="opened")
    client.answer(asked_for_a_stream, start(JSON), body(json.dumps(ANSWER).encode()))
    assert json.loads(client.body)["choices"][0]["message"]["reasoning"] == "Hm"
