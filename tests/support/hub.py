"""A Hub on loopback: the part of its protocol that a download speaks, and what can go wrong with it.

Over real HTTP: `/api/models/OWNER/NAME/revision/REV?blobs=true` and `/OWNER/NAME/resolve/COMMIT/FILE` with ranges.
"""

from __future__ import annotations

import hashlib
import json
import re
import select
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

REPOSITORY = "Someone/Step-Audio-tiny"
COMMIT = "c0ffee" + 34 * "0"
BLOCK = 16 * 1024

Refusal = tuple[int, "Mapping[str, str]"]


@dataclass
class Hub:
    """One repository, `REPOSITORY`, with the files of `folder`; what it is told to do wrong is set on it.

    `listing` and `files` refuse the list or the files with a status and headers. `cut` drops each connection after so
    many bytes of a file; `stall` says no more after so many, and keeps the connection; `wrong` names files whose
    bytes are others; `declared` lists files in sizes that they do not have; `no_ranges` sends every file whole.
    `served` counts the bytes of each file that went out, `asked` holds (path, range, authorization) of all requests.
    """

    folder: Path
    url: str = ""
    commit: str = COMMIT
    listing: Refusal | None = None
    files: Refusal | None = None
    cut: int | None = None
    stall: int | None = None
    wrong: set[str] = field(default_factory=set)
    declared: dict[str, int] = field(default_factory=dict)
    no_ranges: bool = False
    served: Counter[str] = field(default_factory=Counter)
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What leads the Hub's library here, and no proxy between."""
        return {"HF_ENDPOINT": self.url, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}

    @property
    def size(self) -> int:
        """Bytes of all files that a checkpoint needs."""
        return sum(
            path.stat().st_size for path in self.folder.iterdir() if path.suffix in {".safetensors", ".json", ".py"}
        )

    @property
    def checkpoint_asked(self) -> list[tuple[str, str, str]]:
        """Requests for the repository; the Hub's library has other questions of its own."""
        return [request for request in self.asked if REPOSITORY in request[0]]

    def forget(self) -> None:
        """Count anew."""
        self.served.clear()
        self.asked.clear()

    def document(self) -> dict[str, Any]:
        """The answer to a question for the repository."""
        return {"id": REPOSITORY, "sha": self.commit, "siblings": [self._sibling(path) for path in self._paths()]}

    def _paths(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def _sibling(self, path: Path) -> dict[str, Any]:
        name, content = str(path.relative_to(self.folder)), path.read_bytes()
        size = self.declared.get(name, len(content))
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        found: dict[str, Any] = {"rfilename": name, "size": size, "blobId": blob}
        if path.suffix == ".safetensors":
            found["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": size, "pointerSize": 130}
        return found


@contextmanager
def serving(folder: Path) -> Iterator[Hub]:
    """A Hub, for the length of a block."""
    hub = Hub(folder)

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield hub
    server.shutdown()
    server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        authorization = self.headers.get("Authorization", "")
        self.hub.asked.append((path, self.headers.get("Range", ""), authorization))
        if path.startswith("/api/models/"):
            self._list(path.removeprefix("/api/models/"))
        elif found := re.fullmatch(rf"/{REPOSITORY}/resolve/{self.hub.commit}/(.+)", path):
            self._file(found[1])
        else:
            self._refuse(404, {"X-Error-Code": "EntryNotFound"})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
        """Say nothing."""

    def _list(self, wanted: str) -> None:
        name, _, revision = wanted.partition("/revision/")
        if self.hub.listing is not None:
            self._refuse(*self.hub.listing)
        elif name != REPOSITORY:
            self._refuse(401, {"X-Error-Code": "RepoNotFound"})
        elif revision not in {"", "main", "v1", self.hub.commit}:
            self._refuse(404, {"X-Error-Code": "RevisionNotFound"})
        else:
            body = json.dumps(self.hub.document()).encode()
            self._head(200, len(body), {"Content-Type": "application/json"})
            self.wfile.write(body)

    def _file(self, name: str) -> None:
        path = self.hub.folder / name
        if self.hub.files is not None:
            self._refuse(*self.hub.files)
            return
        content = path.read_bytes()
        if name in self.hub.wrong:
            content = bytes(255 - byte for byte in content)
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        begin = int(asked[1]) if asked and not self.hub.no_ranges else 0
        ranged = {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"} if begin else {}
        self._head(
            206 if begin else 200, len(content) - begin, {"ETag": '"x"', "X-Repo-Commit": self.hub.commit, **ranged}
        )
        self._body(name, content[begin:])

    def _body(self, name: str, content: bytes) -> None:
        end = min(limit for limit in (self.hub.cut, self.hub.stall, len(content)) if limit is not None)
        for at in range(0, min(end, len(content)), BLOCK):
            block = content[at : min(at + BLOCK, end)]
            try:
                self.wfile.write(block)
                self.wfile.flush()
            except OSError:  # the client left
                break
            self.hub.served[name] += len(block)
        if end < len(content):
            self.close_connection = True
            while end == self.hub.stall and not self._client_left():
                time.sleep(0.02)
            self.connection.close()

    def _client_left(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable)

    def _refuse(self, status: int, headers: Mapping[str, str]) -> None:
        self._head(status, 2, headers)
        self.wfile.write(b"{}")

    def _head(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
