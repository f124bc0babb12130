"""What goes wrong below the request: routes, headers, slow senders, clients that leave."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from support import sounds

from .attack import GONE, Attack, Reply, Target, audio_url, input_audio, read_reply, text

if TYPE_CHECKING:
    from collections.abc import Iterator

DRIP_SECONDS = 0.5
DRIPPING = "a body a byte at a time"
"""This attack lasts as long as the guard lets it, two minutes by default."""


# ---- addresses that the engine must not call


class Catcher:
    """A web server of the test's own; `asked` are the paths that somebody called."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                body = sounds.wav()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)
        self.port = self._server.server_port

    def __enter__(self) -> Catcher:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


URLS = (
    "http://{host}/a.wav",
    "HTTP://{host}/a.wav",
    " http://{host}/a.wav",
    "http:\\\\{host}\\a.wav",
    "//{host}/a.wav",
    "https://{host}/a.wav",
    "ftp://{host}/a.wav",
    "file:///etc/passwd",
    "/etc/passwd",
    "http://user@{host}/a.wav#data:audio/wav;base64,",
    "http://[::ffff:127.0.0.1]:{port}/a.wav",
)


def fetch(target: Target, port: int, host: str, url: str) -> Reply:
    """Ask the engine to fetch a sound from `host`, where a Catcher listens."""
    address = url.format(host=f"{host}:{port}", port=port)
    return target.chat([audio_url(address), text("What do you hear?")])


MEDIA = {
    "image_url": {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest/meta-data"}},
    "video_url": {"type": "video_url", "video_url": {"url": "http://169.254.169.254/latest/meta-data"}},
    "image_embeds": {"type": "image_embeds", "image_embeds": "AAAA"},
    "audio_embeds": {"type": "audio_embeds", "audio_embeds": "AAAA"},
    "prompt_embeds": {"type": "prompt_embeds", "data": "AAAA"},
    "image_pil": {"type": "image_pil", "image_pil": "AAAA"},
    "file": {"type": "file", "file": {"file_id": "../../etc/passwd"}},
}


def media(name: str) -> Attack:
    return Attack(f"a part {name}", lambda target: target.chat([MEDIA[name], text("?")]), frozenset({400}))


# ---- routes and headers


def request_line(line: str, *headers: str, key: bool = False) -> Attack:
    """A request written by hand, without a key unless `key`."""

    def send(target: Target) -> Reply:
        lines = [line, *headers, "Connection: close"]
        lines += [f"{name}: {value}" for name, value in target.headers.items() if key]
        return target.raw("\n".join(lines))

    expected = frozenset({404} if key else {400, 401, 404})
    return Attack(f"{line}{', with the key' * key}", send, expected)


def chat_by_hand(target: Target, path: str, *headers: str) -> Reply:
    content = json.dumps(target.question("Hello")).encode()
    lines = [f"POST {path} HTTP/1.1", *headers, "Content-Type: application/json", "Connection: close"]
    return target.raw("\n".join([*lines, f"Content-Length: {len(content)}"]), content)


def side_door(path: str, *headers: str, expected: tuple[int, ...] = (404,)) -> Attack:
    """A chat by another way in, without the key."""
    name = f"POST {path} {' '.join(headers)}".strip()
    given = headers or ("Host: x",)
    return Attack(name, lambda target: chat_by_hand(target, path, *given), frozenset(expected))


ROUTES = (
    side_door("/invocations"),
    side_door("/invocations", "Host: x/health?"),
    side_door("/v1/chat/completions", "Host: x/health?", expected=(401,)),
    side_door("/v1/chat/completions", "Host: 127.0.0.1/health#", expected=(401,)),
    side_door("/v1/chat/completions", "Host: x", "Host: y/health?", expected=(400, 401)),
    side_door("/v1/chat/completions", "Host:", expected=(400, 401)),
    side_door("/v1/chat/completions", "Host: x", "X-Forwarded-Prefix: /health", expected=(401,)),
    side_door("/v1/chat/completions", "Host: x", "Authorization: Bearer", expected=(401,)),
    side_door("/v1/chat/completions", "Host: x", "Authorization: Bearer a", "Authorization: Bearer b", expected=(401,)),
    side_door("//v1/chat/completions"),
    side_door("/v1/chat/completions/"),
    side_door("/v1%2fchat/completions", expected=(401, 404)),
    side_door("/health/../v1/chat/completions"),
    side_door("/V1/chat/completions"),
    side_door("http://x/health/v1/chat/completions", expected=(400, 401, 404)),
    request_line("GET /metrics HTTP/1.1", "Host: x"),
    request_line("GET /docs HTTP/1.1", "Host: x"),
    request_line("GET /openapi.json HTTP/1.1", "Host: x"),
    request_line("GET /docs HTTP/1.1", "Host: x", key=True),
    request_line("GET /load HTTP/1.1", "Host: x", key=True),
    request_line("GET /server_info HTTP/1.1", "Host: x", key=True),
    request_line("POST /detokenize HTTP/1.1", "Host: x", "Content-Length: 0", key=True),
    request_line("POST /v1/embeddings HTTP/1.1", "Host: x", "Content-Length: 0", key=True),
    request_line("POST /v1/responses HTTP/1.1", "Host: x", "Content-Length: 0", key=True),
    request_line("POST /v1/load_lora_adapter HTTP/1.1", "Host: x", "Content-Length: 0", key=True),
    request_line("POST /inference/v1/generate HTTP/1.1", "Host: x", "Content-Length: 0", key=True),
    request_line("POST /sleep HTTP/1.1", "Host: x", "Content-Length: 0", key=True),
    request_line("POST /abort_requests HTTP/1.1", "Host: x", "Content-Length: 0", key=True),
)


# ---- slow and absent clients


def head_of_chat(target: Target, length: int, **more: str) -> bytes:
    headers = {"Host": "x", "Content-Type": "application/json", "Content-Length": str(length), **target.headers, **more}
    lines = ["POST /v1/chat/completions HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def drip(target: Target) -> Reply:
    """A body that comes a byte at a time."""
    with target.connect() as connection:
        connection.sendall(head_of_chat(target, 1_000_000))
        connection.settimeout(DRIP_SECONDS)
        for byte in _bytes_for(120):
            try:
                connection.sendall(byte)
                early = connection.recv(65536)
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                return Reply(GONE)
            return Reply(int(early.split()[1]) if early else GONE)
    return Reply(GONE)


def _bytes_for(seconds: float) -> Iterator[bytes]:
    for _ in range(int(seconds / DRIP_SECONDS)):
        yield b" "


def lie_about_length(target: Target) -> Reply:
    """A Content-Length above every bound is refused before a byte of the body."""
    with target.connect() as connection:
        connection.sendall(head_of_chat(target, 1 << 40))
        return read_reply(connection)


def leave_in_upload(target: Target) -> Reply:
    with target.connect() as connection:
        connection.sendall(head_of_chat(target, 1_000_000) + b'{"messages": [')
    return Reply(GONE)


def leave_while_waiting(target: Target) -> Reply:
    question = target.question([input_audio(sounds.wav()), text("?")], max_tokens=4000, ignore_eos=True)
    content = json.dumps(question).encode()
    with target.connect() as connection:
        connection.sendall(head_of_chat(target, len(content)) + content)
        time.sleep(0.3)
    return Reply(GONE)


def leave_in_stream(target: Target) -> Reply:
    question = target.question("Hello", stream=True, max_tokens=4000, ignore_eos=True)
    content = json.dumps(question).encode()
    with target.connect() as connection:
        connection.sendall(head_of_chat(target, len(content)) + content)
        connection.recv(1)
    return Reply(GONE)


def twenty_times(name: str, leave: object) -> Attack:
    def send(target: Target) -> Reply:
        for _ in range(20):
            leave(target)  # type: ignore[operator]
        return Reply(GONE)

    return Attack(name, send, frozenset({GONE}))


CLIENTS = (
    Attack(DRIPPING, drip, frozenset({408})),
    Attack("a Content-Length of a terabyte", lie_about_length, frozenset({413})),
    twenty_times("20 clients that leave in their upload", leave_in_upload),
    twenty_times("20 clients that leave while they wait", leave_while_waiting),
    twenty_times("20 clients that leave in the stream", leave_in_stream),
)

WIRE: tuple[Attack, ...] = (*map(media, MEDIA), *ROUTES, *CLIENTS)
