"""What an attack is: a request that somebody might send, and what the guard is to answer."""

from __future__ import annotations

import base64
import json
import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from support.sounds import Kind

GONE = 0
"""In the place of a status: the attacker left before an answer."""

PATIENCE = 120.0
"""Seconds after which an attacker stops waiting; far above every bound of the guard."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The status (or GONE) and the body as text."""

    status: int
    text: str = ""

    @property
    def message(self) -> str:
        """What an error says."""
        try:
            return str(json.loads(self.text)["error"]["message"])
        except (ValueError, KeyError, TypeError):
            return ""


@dataclass(frozen=True, slots=True)
class Target:
    """The endpoint under attack; `key` is one that opens it, or None where it asks for none."""

    port: int
    model: str
    key: str | None = None
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.key is None else {"Authorization": f"Bearer {self.key}"}

    def post(self, path: str, body: Mapping[str, Any] | bytes, **headers: str) -> Reply:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = (
            {"content-type": "application/json"} | self.headers | {k.replace("_", "-"): v for k, v in headers.items()}
        )
        answer = httpx.post(self.url + path, content=content, headers=sent, timeout=PATIENCE)
        return Reply(answer.status_code, answer.text)

    def chat(self, content: object, **fields: object) -> Reply:
        """Ask one question, its answer short."""
        return self.post("/v1/chat/completions", self.question(content, **fields))

    def question(self, content: object, **fields: object) -> dict[str, object]:
        messages = [{"role": "user", "content": content}]
        return {"model": self.model, "messages": messages, "temperature": 0, "max_tokens": 60} | fields

    def raw(self, head: str, body: bytes = b"") -> Reply:
        """Send bytes as they are, and read the status of what comes back."""
        with self.connect() as connection:
            connection.sendall(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body)
            return read_reply(connection)

    def connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=PATIENCE)


@dataclass(frozen=True, slots=True)
class Attack:
    """`expected` are the statuses that the guard may answer with.

    An error must hold the words `said`; where an answer comes, it must have heard a sound of the kind `heard`.
    """

    name: str
    send: Callable[[Target], Reply]
    expected: frozenset[int]
    said: str = ""
    heard: Kind | None = None

    def __str__(self) -> str:
        return self.name


def read_reply(connection: socket.socket) -> Reply:
    """The reply on a connection of our own; GONE where the server just closes it."""
    answer = b""
    try:
        while b"\r\n\r\n" not in answer and (more := connection.recv(65536)):
            answer += more
        head, _, body = answer.partition(b"\r\n\r\n")
        length = next((int(v) for k, _, v in map(_header, head.splitlines()[1:]) if k == b"content-length"), 0)
        while len(body) < length and (more := connection.recv(65536)):
            body += more
    except ConnectionResetError:
        return Reply(GONE)
    return Reply(int(head.split()[1]), body.decode("utf-8", "replace")) if head else Reply(GONE)


def _header(line: bytes) -> tuple[bytes, bytes, bytes]:
    name, colon, value = line.partition(b":")
    return name.lower(), colon, value.strip()


def input_audio(data: bytes, form: str = "wav") -> dict[str, Any]:
    """A part as OpenAI's API has it."""
    return {"type": "input_audio", "input_audio": {"data": base64.b64encode(data).decode(), "format": form}}


def audio_url(url: str) -> dict[str, Any]:
    return {"type": "audio_url", "audio_url": {"url": url}}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def sound(
    name: str, make: Callable[[], bytes], *expected: int, said: str = "", heard: Kind | None = None, form: str = "wav"
) -> Attack:
    """One clip with the question what it is."""
    attack = parts(name, lambda: [input_audio(make(), form), text("What do you hear?")], *expected, said=said)
    return replace(attack, heard=heard)


def parts(name: str, make: Callable[[], Sequence[object]], *expected: int, said: str = "") -> Attack:
    """A message of several parts."""
    return Attack(name, lambda target: target.chat(list(make())), frozenset(expected), said)


def words(name: str, what: str, *expected: int, said: str = "") -> Attack:
    """A message of text."""
    return Attack(name, lambda target: target.chat(what), frozenset(expected), said)


def fields(name: str, change: Mapping[str, object], *expected: int, said: str = "") -> Attack:
    """An ordinary question with unusual fields beside it."""
    return Attack(name, lambda target: target.chat("Hello", **change), frozenset(expected), said)


def body(name: str, content: bytes, *expected: int, said: str = "", **headers: str) -> Attack:
    """A body that may be no request at all."""
    return Attack(
        name, lambda target: target.post("/v1/chat/completions", content, **headers), frozenset(expected), said
    )


def posted(name: str, path: str, what: Mapping[str, object], *expected: int, said: str = "") -> Attack:
    """A request to any route; the model's name is filled in."""
    return Attack(
        name, lambda target: target.post(path, {"model": target.model} | dict(what)), frozenset(expected), said
    )
