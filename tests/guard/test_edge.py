from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from support import preparing, sounds

from stepaudio_serve.guard import GuardConfig
from stepaudio_serve.guard.admission import READERS_PER_PLACE
from stepaudio_serve.guard.config import Limits
from stepaudio_serve.guard.edge import Edge
from stepaudio_serve.guard.keys import parse_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepaudio_serve.guard.asgi import Message, Receive, Scope, Send

CHAT = "/v1/chat/completions"
QUESTION = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
ANSWER = {"choices": [{"index": 0, "message": {"content": "Hm</think>Yes."}, "finish_reason": "stop"}]}
JSON = (b"content-type", b"application/json")
METRICS = b"# TYPE vllm:up gauge\nvllm:up 1\n"


class Engine:
    """The routes of an engine, which remembers what reached it."""

    def __init__(self, metrics_behind_a_slash: bool = False) -> None:
        self.seen: list[Scope] = []
        self.bodies: list[bytes] = []
        self.left = asyncio.Event()
        self.stream: list[bytes] | None = None
        self.metrics_behind_a_slash = metrics_behind_a_slash

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(scope)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path == "/v1/models":
            await answer(send, json.dumps({"data": [{"id": "m", "max_model_len": 4096}]}).encode())
        elif path == "/tokenize":
            await answer(send, b'{"count": 5}')
        elif path == "/metrics" and self.metrics_behind_a_slash:
            await answer(send, b"", 307, (b"location", b"http://elsewhere/metrics/"))
        elif path.startswith("/metrics"):
            await answer(send, METRICS, 200, (b"content-type", b"text/plain"), (b"content-length", b"32"))
        elif path == CHAT:
            await self.chat(receive, send)
        else:
            await answer(send, b"engine")

    async def chat(self, receive: Receive, send: Send) -> None:
        self.bodies.append((await receive())["body"])
        if self.stream is None:
            await answer(send, json.dumps(ANSWER).encode(), 200, JSON)
            return
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for chunk in self.stream:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if (await receive())["type"] == "http.disconnect":
            self.left.set()


async def answer(send: Send, body: bytes, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


@dataclass
class Client:
    """One request and its answer; after its pieces, which may be all or not, the client stays, or leaves."""

    pieces: Sequence[bytes] = (b"",)
    leaves: bool = False
    unfinished: bool = False
    got: list[Message] = field(default_factory=list)
    stays: asyncio.Event = field(default_factory=asyncio.Event)
    given: int = 0

    async def receive(self) -> Message:
        if self.given < len(self.pieces):
            self.given += 1
            more = self.given < len(self.pieces) or self.leaves or self.unfinished
            return {"type": "http.request", "body": self.pieces[self.given - 1], "more_body": more}
        if not self.leaves:
            await self.stays.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.got.append(message)

    @property
    def status(self) -> int:
        status: int = self.got[0]["status"]
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.got[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.got[1:])

    @property
    def code(self) -> str:
        code: str = json.loads(self.body)["error"]["code"]
        return code


def request(method: str, path: str, *headers: tuple[bytes, bytes], root_path: str = "") -> dict[str, Any]:
    full = root_path + path
    return {
        "type": "http",
        "method": method,
        "path": full,
        "raw_path": full.encode(),
        "query_string": b"",
        "root_path": root_path,
        "headers": [(b"host", b"server:9999"), *headers],
        "http_version": "1.1",
    }


def ask(edge: Edge, scope: Scope, *pieces: bytes, **more: Any) -> Client:
    client = Client(pieces or (b"",), **more)
    asyncio.run(edge(scope, client.receive, client.send))
    return client


def chat(edge: Edge, *headers: tuple[bytes, bytes], path: str = CHAT, root_path: str = "", **more: Any) -> Client:
    body = json.dumps(QUESTION).encode()
    length = (b"content-length", str(len(body)).encode())
    return ask(edge, request("POST", path, JSON, length, *headers, root_path=root_path), body, **more)


def ends(client: Client) -> tuple[Receive, Send]:
    return client.receive, client.send


async def stop(tasks: Sequence[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def edge(engine: Engine) -> Edge:
    return Edge(engine, GuardConfig())


class TestChat:
    def test_the_question_reaches_the_engine_and_the_answer_comes_back_sorted(self, edge: Edge, engine: Engine) -> None:
        client = chat(edge)
        assert client.status == 200
        message = json.loads(client.body)["choices"][0]["message"]
        assert (message["content"], message["reasoning_content"]) == ("Yes.", "Hm")
        assert json.loads(engine.bodies[0])["messages"] == QUESTION["messages"]

    def test_the_engine_is_told_the_length_of_what_it_gets(self, edge: Edge, engine: Engine) -> None:
        chat(edge, (b"transfer-encoding", b"chunked"))
        headers = [header for header in engine.seen[-1]["headers"] if header[0] != b"host"]
        assert headers == [JSON, (b"content-length", str(len(engine.bodies[0])).encode())]

    def test_a_refused_request_names_the_fault_and_never_reaches_the_engine(self, edge: Edge, engine: Engine) -> None:
        client = ask(edge, request("POST", CHAT, JSON), b'{"messages": 1}')
        assert client.status == 400
        assert json.loads(client.body)["error"]["param"] == "messages"
        assert engine.bodies == []

    def test_a_lowered_max_tokens_is_said_and_counted(self, edge: Edge) -> None:
        body = json.dumps({**QUESTION, "max_tokens": 32000}).encode()
        client = ask(edge, request("POST", CHAT, JSON), body)
        assert b"lowered from 32000" in client.headers[b"x-stepaudio-notice"]
        assert b"stepaudio_guard_max_tokens_lowered_total 1\n" in ask(edge, request("GET", "/metrics")).body

    def test_behind_a_prefix_the_same_routes_are_meant(self, edge: Edge, engine: Engine) -> None:
        assert chat(edge, root_path="/audio").status == 200
        assert engine.seen[-1]["path"] == f"/audio{CHAT}"

    def test_a_stream_passes_piece_by_piece_and_the_engine_hears_that_the_client_left(
        self, edge: Edge, engine: Engine
    ) -> None:
        engine.stream = [b'data: {"choices":[{"index":0,"delta":{"content":"Hm"}}]}\n\n', b"data: [DO"]

        async def leaving() -> Client:
            body = json.dumps({**QUESTION, "stream": True}).encode()
            client = Client([body])
            answering = asyncio.ensure_future(edge(request("POST", CHAT, JSON), client.receive, client.send))
            while len(client.got) < 2:
                await asyncio.sleep(0)
            client.stays.set()
            await asyncio.wait_for(answering, 10)
            return client

        client = asyncio.run(leaving())
        assert b'"reasoning":"Hm"' in client.got[1]["body"]
        assert engine.left.is_set()


class TestTranscription:
    def test_it_is_a_question_to_the_engines_chat(self, edge: Edge, engine: Engine, tmp_path: Any) -> None:
        numpy, soundfile = pytest.importorskip("numpy"), pytest.importorskip("soundfile")
        file = tmp_path / "a.wav"
        soundfile.write(file, numpy.sin(numpy.arange(16000) / 8) / 3, 16000)
        head = b'--b\r\ncontent-disposition: form-data; name="'
        model = head + b'model"\r\n\r\nm\r\n'
        sound = head + b'file"; filename="a.wav"\r\n\r\n' + file.read_bytes() + b"\r\n--b--\r\n"
        multipart = (b"content-type", b"multipart/form-data; boundary=b")
        client = ask(edge, request("POST", "/v1/audio/transcriptions", multipart), model + sound)
        assert json.loads(client.body) == {"text": "Yes."}
        assert engine.seen[-1]["path"] == CHAT
        assert engine.seen[-1]["raw_path"] == CHAT.encode()
        shown = ask(edge, request("GET", "/metrics")).body
        assert b"stepaudio_guard_audio_clips_total 1\n" in shown
        assert b"stepaudio_guard_audio_seconds_total 1\n" in shown


class TestPassing:
    def test_other_routes_reach_the_engine_as_they_are(self, edge: Edge, engine: Engine) -> None:
        scope = request("GET", "/version")
        assert ask(edge, scope).body == b"engine"
        assert engine.seen == [scope]

    def test_but_for_the_origin_which_the_engine_would_answer(self, edge: Edge, engine: Engine) -> None:
        locked = Edge(engine, GuardConfig(keys=parse_keys(b"key")))
        key = (b"authorization", b"Bearer key")
        ask(locked, request("GET", "/version", (b"origin", b"https://other.example"), key))
        assert engine.seen[0]["headers"] == [(b"host", b"server:9999"), key]

    @pytest.mark.parametrize("path", ["/detokenize", "/invocations", "/v1/responses", "/pooling"])
    def test_what_is_shut_stays_shut(self, edge: Edge, engine: Engine, path: str) -> None:
        assert ask(edge, request("POST", path, JSON), b"{}").status == 404
        assert engine.seen == []

    def test_the_engines_own_errors_go_on_to_the_server(self) -> None:
        async def broken(scope: Scope, receive: Receive, send: Send) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            chat(Edge(broken, GuardConfig()))


class TestDoor:
    @pytest.mark.parametrize(("path", "status"), [("/", 200), ("/health", 200), ("/v1/models", 401), (CHAT, 401)])
    def test_only_health_and_the_page_need_no_key(self, engine: Engine, path: str, status: int) -> None:
        locked = Edge(engine, GuardConfig(keys=parse_keys(b"key")))
        method = "POST" if path == CHAT else "GET"
        assert ask(locked, request(method, path)).status == status

    def test_the_key_is_asked_for_before_the_body_is_read(self, engine: Engine) -> None:
        locked = Edge(engine, GuardConfig(keys=parse_keys(b"key")))
        client = Client([b"never read"])
        asyncio.run(locked(request("POST", CHAT, (b"content-length", b"10")), client.receive, client.send))
        assert (client.status, client.given) == (401, 0)


class TestLimits:
    def limited(self, engine: Engine, **limits: Any) -> Edge:
        return Edge(engine, GuardConfig(limits=replace(Limits(), **limits)))

    def test_as_many_at_a_time_as_configured_and_no_more(self, engine: Engine) -> None:
        engine.stream = []
        edge = self.limited(engine, concurrent_requests=1)

        async def two() -> tuple[Client, Client, Client]:
            body = json.dumps(QUESTION).encode()
            first, second, shown = Client([body]), Client([body]), Client()
            answering = asyncio.ensure_future(edge(request("POST", CHAT, JSON), first.receive, first.send))
            while not first.got:
                await asyncio.sleep(0)
            await edge(request("POST", CHAT, JSON), second.receive, second.send)
            await edge(request("GET", "/metrics"), shown.receive, shown.send)
            first.stays.set()
            await answering
            return first, second, shown

        first, second, shown = asyncio.run(two())
        assert (first.status, second.status, second.code) == (200, 429, "too_many_requests")
        assert int(second.headers[b"retry-after"]) > 0
        assert b"stepaudio_guard_requests_in_flight 1\n" in shown.body
        assert b"stepaudio_guard_bytes_in_flight 0\n" in shown.body, "the engine has read what it was given"
        engine.stream = None
        assert chat(edge).status == 200, "the place is free again"

    def test_slow_senders_keep_nobody_from_the_engine(self, engine: Engine) -> None:
        edge = self.limited(engine, concurrent_requests=1)

        async def beside_slow_ones() -> Client:
            slow = [Client([b"{"], unfinished=True) for _ in range(READERS_PER_PLACE - 1)]
            length = (b"content-length", b"50")
            tasks = [asyncio.ensure_future(edge(request("POST", CHAT, JSON, length), *ends(one))) for one in slow]
            quick = Client([json.dumps(QUESTION).encode()])
            await asyncio.sleep(0)
            await edge(request("POST", CHAT, JSON), *ends(quick))
            await stop(tasks)
            return quick

        assert asyncio.run(beside_slow_ones()).status == 200

    def test_nor_do_those_that_were_turned_away_and_linger(self, engine: Engine) -> None:
        edge = self.limited(engine, concurrent_requests=1)

        async def beside_lingering_ones() -> tuple[list[Client], Client]:
            large = [Client([], unfinished=True) for _ in range(2 * READERS_PER_PLACE)]
            length = (b"content-length", b"999999999")
            tasks = [asyncio.ensure_future(edge(request("POST", CHAT, JSON, length), *ends(one))) for one in large]
            quick = Client([json.dumps(QUESTION).encode()])
            await asyncio.sleep(0)
            await edge(request("POST", CHAT, JSON), *ends(quick))
            assert not any(task.done() for task in tasks), "they linger"
            await stop(tasks)
            return large, quick

        large, quick = asyncio.run(beside_lingering_ones())
        assert {client.status for client in large} == {413}
        assert quick.status == 200

    def test_audio_takes_room_until_the_engine_has_read_it(self, engine: Engine) -> None:
        minute = sounds.long_file("FLAC", "PCM_16", 1)
        body = json.dumps(preparing.question(preparing.input_audio(minute))).encode()
        edge = self.limited(engine, bytes_in_flight=len(body) + 1000)

        async def two() -> list[Client]:
            both = [Client([body]), Client([b'{"x": ' + b" " * 500], unfinished=True)]
            reading = asyncio.ensure_future(edge(request("POST", CHAT, JSON), *ends(both[1])))
            await asyncio.sleep(0)
            await edge(request("POST", CHAT, JSON), *ends(both[0]))
            await stop([reading])
            return both

        assert asyncio.run(two())[0].code == "too_many_bytes"
        assert ask(edge, request("POST", CHAT, JSON), body).status == 200, "alone it has room"
        assert b"stepaudio_guard_bytes_in_flight 0\n" in ask(edge, request("GET", "/metrics")).body

    def test_a_health_check_needs_no_place(self, engine: Engine) -> None:
        assert ask(self.limited(engine, concurrent_requests=0), request("GET", "/health")).status == 200

    def test_a_client_that_leaves_before_its_request_is_whole_is_forgotten(self, edge: Edge, engine: Engine) -> None:
        client = ask(edge, request("POST", CHAT, JSON), b'{"mess', leaves=True)
        assert client.got == []
        assert engine.seen == []
        shown = ask(edge, request("GET", "/metrics")).body
        assert b"stepaudio_guard_clients_gone_total 1\n" in shown
        assert b"stepaudio_guard_bytes_in_flight 0\n" in shown


class TestBrowsers:
    PAGE = (b"origin", b"https://page.example")

    def allowing(self, engine: Engine, *origins: str) -> Edge:
        return Edge(engine, GuardConfig(cors_origins=origins, keys=parse_keys(b"key")))

    def test_a_page_elsewhere_is_turned_away(self, edge: Edge, engine: Engine) -> None:
        client = chat(edge, self.PAGE, (b"sec-fetch-site", b"cross-site"))
        assert (client.status, client.code) == (403, "cross_origin_request")
        assert engine.seen == []

    def test_without_a_key_a_name_that_may_be_anybodys_is_not_answered_to(self, edge: Edge, engine: Engine) -> None:
        own = (b"origin", b"http://server:9999"), (b"sec-fetch-site", b"same-origin")
        client = chat(edge, *own)
        assert (client.status, client.code) == (403, "unknown_host")
        assert chat(Edge(engine, GuardConfig(cors_origins=("http://server:9999",))), *own).status == 200
        locked = Edge(engine, GuardConfig(keys=parse_keys(b"key")))
        assert chat(locked, *own, (b"authorization", b"Bearer key")).status == 200

    def test_a_preflight_is_answered_for_a_configured_origin_without_the_key(self, engine: Engine) -> None:
        wanted = (b"access-control-request-method", b"POST")
        client = ask(self.allowing(engine, "https://page.example"), request("OPTIONS", CHAT, self.PAGE, wanted))
        assert client.status == 204
        assert client.headers[b"access-control-allow-origin"] == b"https://page.example"
        assert client.headers[b"access-control-allow-methods"] == b"POST"
        assert b"Authorization" in client.headers[b"access-control-allow-headers"]
        assert client.headers[b"vary"] == b"Origin"
        assert engine.seen == []

    @pytest.mark.parametrize("origins", [(), ("https://other.example",)])
    def test_and_for_no_other(self, engine: Engine, origins: tuple[str, ...]) -> None:
        wanted = (b"access-control-request-method", b"POST")
        client = ask(self.allowing(engine, *origins), request("OPTIONS", CHAT, self.PAGE, wanted))
        assert client.status == 405
        assert not any(name.startswith(b"access-control") for name in client.headers)

    def test_its_answers_may_be_read_refusals_too(self, engine: Engine) -> None:
        edge = self.allowing(engine, "https://page.example")
        for key, status in [(b"Bearer key", 200), (b"Bearer wrong", 401)]:
            client = chat(edge, self.PAGE, (b"sec-fetch-site", b"cross-site"), (b"authorization", key))
            assert client.status == status
            assert client.headers[b"access-control-allow-origin"] == b"https://page.example"
            assert b"x-stepaudio-notice" in client.headers[b"access-control-expose-headers"]


class TestMetrics:
    def test_the_guards_own_follow_the_engines(self, edge: Edge) -> None:
        chat(edge)
        ask(edge, request("GET", "/nowhere"))
        client = ask(edge, request("GET", "/metrics", (b"accept-encoding", b"gzip"), (b"accept", b"*/*")))
        assert client.body.startswith(METRICS)
        assert f'stepaudio_guard_requests_total{{route="{CHAT}",status="200"}} 1\n'.encode() in client.body
        assert b'stepaudio_guard_requests_total{route="other",status="404"} 1\n' in client.body
        assert b'stepaudio_guard_refusals_total{code="unknown_url"} 1\n' in client.body
        assert int(client.headers[b"content-length"]) == len(client.body)

    def test_the_engine_is_asked_for_plain_text(self, edge: Edge, engine: Engine) -> None:
        ask(edge, request("GET", "/metrics", (b"accept-encoding", b"gzip"), (b"accept", b"application/openmetrics")))
        assert {name for name, _ in engine.seen[0]["headers"]} == {b"host"}

    def test_an_engine_that_sends_to_another_path_is_followed(self) -> None:
        edge = Edge(Engine(metrics_behind_a_slash=True), GuardConfig())
        assert ask(edge, request("GET", "/metrics")).body.startswith(METRICS)

    def test_each_guard_counts_for_itself(self, edge: Edge, engine: Engine) -> None:
        chat(edge)
        shown = ask(Edge(engine, GuardConfig()), request("GET", "/metrics")).body
        assert CHAT.encode() not in shown


class TestOwnFailure:
    def test_it_is_an_error_in_openais_shape_and_the_log_has_the_place(
        self, edge: Edge, engine: Engine, caplog: pytest.LogCaptureFixture
    ) -> None:
        secret = "what was asked"

        async def broken() -> Message:
            raise RuntimeError(secret)

        client = Client()
        asyncio.run(edge(request("POST", CHAT, JSON), broken, client.send))
        assert (client.status, client.code) == (500, "guard_failed")
        assert "RuntimeError" in caplog.text
        assert secret not in caplog.text
        assert b"stepaudio_guard_failures_total 1\n" in ask(edge, request("GET", "/metrics")).body
