"""What an endpoint says of its context, and refusals that mean too much."""

from __future__ import annotations

import socket
from threading import Timer
from typing import TYPE_CHECKING

import httpx
import pytest

from stepaudio_serve.client.connection import TooMuchError, refusal
from stepaudio_serve.client.endpoint import context_of
from stepaudio_serve.client.wire import Question
from stepaudio_serve.errors import SettingsError, TimedOutError, UnhealthyError

if TYPE_CHECKING:
    from support.chat_server import ChatServer


def whom(server: ChatServer, model: str = "Step-Audio-R1") -> Question:
    return Question(server.url, model, [])


def test_the_context_is_that_of_the_model(server: ChatServer) -> None:
    server.context = 16384
    assert context_of(whom(server)) == 16384
    assert context_of(whom(server, "another")) is None


def test_an_endpoint_need_not_say_it(server: ChatServer) -> None:
    assert context_of(whom(server)) is None


def test_one_that_takes_connections_and_says_nothing_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        end = Timer(20, silent.close)
        end.daemon = True
        end.start()
        with pytest.raises(TimedOutError, match="says nothing"):
            context_of(Question(f"http://127.0.0.1:{silent.getsockname()[1]}", "m", []), patience=0.2)


def test_one_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UnhealthyError, match="Nothing answers"):
        context_of(Question("http://127.0.0.1:1", "m", []))


@pytest.mark.parametrize(
    ("status", "error", "too_much"),
    [
        (413, {"code": "request_too_large", "message": "at most 64 MiB"}, True),
        (400, {"code": "audio_too_long", "message": "at most 60 s"}, True),
        (400, {"code": "context_length_exceeded", "message": "no room for an answer"}, True),
        (400, {"code": 400, "message": "This model's maximum context length is 16384 tokens."}, True),
        (400, {"code": "unsupported_field", "message": "chat_template is not taken here"}, False),
        (401, {"code": "invalid_api_key", "message": "too many keys"}, False),
    ],
)
def test_a_refusal_tells_whether_less_audio_would_help(status: int, error: object, too_much: bool) -> None:
    said = refusal(Question("http://x", "m", []), httpx.Response(status, json={"error": error}))
    assert isinstance(said, SettingsError)
    assert isinstance(said, TooMuchError) is too_much
