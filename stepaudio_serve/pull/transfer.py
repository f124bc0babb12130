"""Several files at a time over HTTP, each gone on from where it stopped and checked against its digest.

The Hub's library (2.x) throws away what has come of a file when it is interrupted; here it stays, as `*.incomplete`,
and the next run asks for the rest of it. Plain HTTP with ranges is spoken, which every Hub and mirror serves, not Xet.
"""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import httpx

from ..errors import RefusedError
from .place import BLOCK, new_hash, size_of
from .problems import HubUnreachableError, of_answer, of_connection, of_disk, retry_after

if TYPE_CHECKING:
    import hashlib
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from io import FileIO
    from pathlib import Path

    from .hub import HubFile
    from .place import Place

WORKERS = 8
"""Files at a time, as the Hub's own library takes them."""
WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each new attempt while nothing comes; any byte that comes starts them anew."""
LONGEST_RATE_LIMIT = 60.0
"""Seconds of a 429's `Retry-After` that are waited for; a longer one is told to the user."""
TIMEOUT = httpx.Timeout(20.0, connect=10.0)
"""Seconds; a connection that is silent for so long is given up and taken up again."""
LEAVE_SECONDS = 3.0
REPORT_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Job:
    """One file: where from and where to."""

    file: HubFile
    url: str
    place: Place

    @property
    def have(self) -> int:
        """Bytes that came before."""
        return min(size_of(self.place.partial(self.file)) or 0, self.file.size)


@dataclass(slots=True)
class Transfer:
    """Downloads all jobs; `on_bytes` hears in the calling thread how many bytes of them are there.

    `put_aside` collects the user's files that had to make way.
    """

    repository: str
    jobs: Sequence[Job]
    headers: Mapping[str, str]
    on_bytes: Callable[[int], None] = lambda _: None
    waits: Sequence[float] = WAITS
    received: int = 0
    put_aside: list[Path] = field(default_factory=list)
    _have: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _errors: SimpleQueue[Exception] = field(default_factory=SimpleQueue)

    def run(self) -> None:
        """Download; interrupted, it leaves within seconds, with all that came on the disk.

        Raises:
            RefusedError: one of them cannot be had; the others stop too, and keep what came.
            KeyboardInterrupt: interrupted.
        """
        self._have = sum(job.have for job in self.jobs)
        queue: SimpleQueue[Job] = SimpleQueue()
        for job in sorted(self.jobs, key=lambda job: -job.file.size):
            queue.put(job)
        with httpx.Client(timeout=TIMEOUT, follow_redirects=True, headers=_identity(self.headers)) as client:
            threads = [
                threading.Thread(target=self._work, args=(client, queue), daemon=True)
                for _ in range(min(WORKERS, len(self.jobs)))
            ]
            try:
                for thread in threads:
                    thread.start()
                for thread in threads:
                    while thread.is_alive():
                        thread.join(REPORT_SECONDS)
                        self.on_bytes(self._have)
            finally:
                self._stop.set()
                for thread in threads:
                    if thread.ident is not None:
                        thread.join(LEAVE_SECONDS / len(threads))
        if not self._errors.empty():
            raise self._errors.get()

    def _work(self, client: httpx.Client, queue: SimpleQueue[Job]) -> None:
        while not self._stop.is_set():
            try:
                job = queue.get_nowait()
            except Empty:
                return
            try:
                self._fetch(client, job)
            except OSError as error:
                self._fail(of_disk(error, job.place.partial(job.file)))
            except Exception as error:  # noqa: BLE001 - told by the thread that waits
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._errors.put(error)
        self._stop.set()

    def _fetch(self, client: httpx.Client, job: Job) -> None:
        """Bring one file: what is there is read for the hash, the rest is asked for; a damaged one once anew."""
        partial = job.place.partial(job.file)
        with _owned(partial) as file:
            if job.place.has(job.file):  # another process was faster
                partial.unlink(missing_ok=True)
                return
            resumed = os.fstat(file.fileno()).st_size > 0
            digest = self._receive(client, job, file)
            if digest is not None and digest != job.file.digest and resumed:
                self._restart(file)
                digest = self._receive(client, job, file)
            if digest is None:
                return
            if digest != job.file.digest:
                partial.unlink()
                raise RefusedError(
                    f"{job.file.name} arrives damaged",
                    why=f"the Hub says its digest is {job.file.digest[:12]}..., what came has {digest[:12]}...;"
                    " it was thrown away, the other files are kept",
                    fix=f"stepaudio-serve pull --model {self.repository}   (another way to the Hub: HF_ENDPOINT)",
                )
            os.fsync(file.fileno())
            aside = job.place.place(job.file)
            if aside is not None:
                self.put_aside.append(aside)

    def _receive(self, client: httpx.Client, job: Job, file: FileIO) -> str | None:
        """Receive until it is whole; its digest, or None when all is to stop."""
        if os.fstat(file.fileno()).st_size > job.file.size:
            file.truncate(0)
        digest, attempt = self._hashed(job, file), 0
        while digest is not None and (have := os.fstat(file.fileno()).st_size) < job.file.size:
            pause: float | None = None
            problem: RefusedError
            try:
                digest = self._stream(client, job, file, digest)
                continue_at = os.fstat(file.fileno()).st_size
                if self._stop.is_set() or continue_at >= job.file.size:
                    continue
                problem = of_connection(self.repository, httpx.RemoteProtocolError("the connection was cut"))
            except httpx.TransportError as error:
                problem = of_connection(self.repository, error)
            except httpx.HTTPStatusError as error:
                problem = of_answer(
                    self.repository, error.response.status_code, error.response.headers, file=job.file.name
                )
                pause = retry_after(error.response.headers)
                if not isinstance(problem, HubUnreachableError) or (pause or 0.0) > LONGEST_RATE_LIMIT:
                    raise problem from error
            attempt = 0 if os.fstat(file.fileno()).st_size > have else attempt + 1
            if attempt >= len(self.waits):
                raise problem
            if self._stop.wait(self.waits[attempt] if pause is None else pause):
                return None
        return None if digest is None or self._stop.is_set() else digest.hexdigest()

    def _stream(self, client: httpx.Client, job: Job, file: FileIO, digest: hashlib._Hash) -> hashlib._Hash:
        """Ask for what is missing and write what comes; the hash over all of it."""
        have = os.fstat(file.fileno()).st_size
        with client.stream("GET", job.url, headers={"Range": f"bytes={have}-"} if have else {}) as answer:
            answer.raise_for_status()
            if have and not answer.headers.get("content-range", "").startswith(f"bytes {have}-"):
                self._restart(file)  # the server sends all of it again
                digest, have = new_hash(job.file), 0
            for chunk in answer.iter_raw():
                wanted = chunk[: job.file.size - have]
                _write(file, wanted)
                digest.update(wanted)
                have += len(wanted)
                self._count(len(wanted))
                if self._stop.is_set() or have == job.file.size:
                    break
        return digest

    def _hashed(self, job: Job, file: FileIO) -> hashlib._Hash | None:
        """The hash of what came before; None when all is to stop."""
        digest = new_hash(job.file)
        file.seek(0)
        while block := file.read(BLOCK):
            if self._stop.is_set():
                return None
            digest.update(block)
        return digest

    def _restart(self, file: FileIO) -> None:
        lost = os.fstat(file.fileno()).st_size
        file.truncate(0)
        with self._lock:
            self._have -= lost

    def _count(self, number: int) -> None:
        with self._lock:
            self._have += number
            self.received += number


def _identity(headers: Mapping[str, str]) -> dict[str, str]:
    """Files as they are: a compressed answer has no ranges that fit."""
    return {**headers, "accept-encoding": "identity"}


@contextmanager
def _owned(partial: Path) -> Iterator[FileIO]:
    """The partial file, opened for appending, and held against another download of the same file.

    Raises:
        RefusedError: another process is downloading it.
    """
    partial.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("a+b", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RefusedError(
                f"{partial.name} is being downloaded by another process",
                why="two downloads into one file would damage it",
                fix="wait for the other one, then run this again",
            ) from error
        yield file


def _write(file: FileIO, data: bytes) -> None:
    """All of it, at once: nothing that came waits in memory."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
