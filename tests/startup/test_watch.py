"""Watching a start: log, end and first healthy answer, raced, against a real HTTP endpoint."""

from __future__ import annotations

import http.server
import queue
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from stepaudio_serve.errors import RuntimeUnavailableError
from stepaudio_serve.runtime.deployment import Deployment, Exit
from stepaudio_serve.startup.phases import Phase, Progress
from stepaudio_serve.startup.watch import Outcome, lines_of, watch

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from stepaudio_serve.plan.plan import Plan

SERVES = b"(APIServer pid=1) INFO:     Application startup complete.\n"


@dataclass
class Engine:
    """A runtime with one engine, whose log and end a test decides."""

    pieces: queue.SimpleQueue[bytes | None] = field(default_factory=queue.SimpleQueue)
    ended: queue.SimpleQueue[Exit | Exception] = field(default_factory=queue.SimpleQueue)
    log_error: Exception | None = None
    log_left: threading.Event = field(default_factory=threading.Event)

    def says(self, *pieces: bytes) -> Engine:
        for piece in pieces:
            self.pieces.put(piece)
        return self

    def ends(self, code: int) -> Engine:
        self.ended.put(Exit(code))
        self.pieces.put(None)
        return self

    def logs(
        self, deployment: Deployment, *, follow: bool = False, tail: int | None = None, since: float | None = None
    ) -> Generator[bytes, None, None]:
        try:
            while (piece := self.pieces.get()) is not None:
                yield piece
        finally:
            self.log_left.set()
        if self.log_error:
            raise self.log_error

    def wait(self, deployment: Deployment) -> Exit:
        result = self.ended.get()
        if isinstance(result, Exception):
            raise result
        return result

    def find(self, name: str) -> Deployment | None: ...
    def deployments(self) -> tuple[Deployment, ...]:
        return ()

    def create(self, plan: Plan) -> Deployment:
        raise NotImplementedError

    def start(self, deployment: Deployment) -> Deployment:
        return deployment

    def hand_over(self, deployment: Deployment) -> None: ...
    def stop(self, deployment: Deployment, grace: int) -> None: ...
    def remove(self, deployment: Deployment) -> None: ...


def deployment(endpoint: str) -> Deployment:
    return Deployment(
        name="mine",
        runtime="docker",
        engine="vllm",
        model="Step-Audio-R1",
        endpoint=endpoint,
        plan_hash="",
        id="1",
        state="running",
        plan={},
        settings={},
    )


@contextmanager
def endpoint(*statuses: int) -> Iterator[str]:
    """An endpoint whose /health answers these, the last one from then on."""
    answers = list(statuses)

    class Health(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def watched(engine: Engine, at: str, *, ready: float = 20, stall: float = 20) -> tuple[Outcome, list[str]]:
    seen: list[str] = []

    def line(text: str, progress: Progress) -> None:
        seen.append(text)

    return watch(engine, deployment(at), ready_timeout=ready, stall_timeout=stall, on_line=line), seen


@pytest.fixture
def nowhere(free_port: int) -> str:
    return f"http://127.0.0.1:{free_port}"


# ---- ready


def test_the_first_healthy_answer_ends_the_watch() -> None:
    with endpoint(503, 503, 200) as at:
        before = time.monotonic()
        outcome, seen = watched(Engine().says(SERVES), at)
    assert outcome.result == "ready"
    assert outcome.healthy_at is not None
    assert before < outcome.healthy_at <= time.monotonic()
    assert outcome.progress.phase in {Phase.SERVING, Phase.READY}
    assert seen == list(outcome.lines)


def test_after_the_watch_the_log_is_left_at_its_next_line() -> None:
    engine = Engine()
    with endpoint(200) as at:
        assert watched(engine, at)[0].result == "ready"
    engine.says(b"GET /health\n")
    assert engine.log_left.wait(20)


def test_an_engine_that_says_nothing_can_be_ready_too() -> None:
    with endpoint(200) as at:
        assert watched(Engine(), at)[0].result == "ready"


def test_a_log_that_breaks_off_is_no_verdict() -> None:
    engine = Engine(log_error=OSError("connection reset"))
    engine.says(b"INFO loading\n")
    engine.pieces.put(None)
    with endpoint(*[503] * 3, 200) as at:
        outcome, _ = watched(engine, at)
    assert outcome.result == "ready"
    assert "(the log broke off: connection reset)" in outcome.lines


# ---- failed


def test_an_engine_that_ends_has_failed_with_its_last_words(nowhere: str) -> None:
    engine = Engine()
    engine.ended.put(Exit(1))  # the end is known before the end of the log is read
    threading.Timer(0.1, lambda: engine.says(b"RuntimeError: the cause\n", b"last words")).start()
    threading.Timer(0.15, lambda: engine.pieces.put(None)).start()
    outcome, seen = watched(engine, nowhere)
    assert outcome.result == "failed"
    assert outcome.exit == Exit(1)
    assert list(outcome.lines) == seen == ["RuntimeError: the cause", "last words"]


def test_a_log_that_never_ends_does_not_hold_up_the_verdict(nowhere: str) -> None:
    engine = Engine().says(b"last words\n")
    engine.ended.put(Exit(0))
    outcome, _ = watched(engine, nowhere)
    assert (outcome.result, outcome.exit) == ("failed", Exit(0))
    assert outcome.lines == ("last words",)


def test_a_runtime_that_is_lost_is_raised(nowhere: str) -> None:
    engine = Engine()
    engine.ended.put(RuntimeUnavailableError("no Docker Engine answers"))
    with pytest.raises(RuntimeUnavailableError, match="no Docker Engine answers"):
        watched(engine, nowhere)


# ---- too late


def test_silence_is_a_stall(nowhere: str) -> None:
    outcome, _ = watched(Engine().says(b"INFO loading\n"), nowhere, stall=0.2)
    assert outcome.result == "stalled"
    assert outcome.lines == ("INFO loading",)


def test_the_same_line_again_and_again_is_silence(nowhere: str) -> None:
    with chatter(Engine(), b"waiting for a lock\n") as engine:
        assert watched(engine, nowhere, stall=0.3, ready=20)[0].result == "stalled"


def test_news_is_no_stall_but_may_come_too_late(nowhere: str) -> None:
    with chatter(Engine(), b"step %d\n") as engine:
        assert watched(engine, nowhere, stall=0.2, ready=0.6)[0].result == "timed-out"


def test_lines_that_come_faster_than_they_are_read_do_not_put_the_end_off(nowhere: str) -> None:
    engine = Engine().says(*[b"step %d\n" % number for number in range(5000)])
    outcome = watch(
        engine, deployment(nowhere), ready_timeout=0.2, stall_timeout=20, on_line=lambda *_: time.sleep(0.001)
    )
    assert outcome.result == "timed-out"
    assert len(outcome.lines) < 5000


@contextmanager
def chatter(engine: Engine, line: bytes) -> Iterator[Engine]:
    """The engine says a line every few milliseconds; %d counts."""
    enough = threading.Event()

    def talk() -> None:
        count = 0
        while not enough.wait(0.02):
            engine.says(line % count if b"%d" in line else line)
            count += 1

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield engine
    finally:
        enough.set()
        thread.join()


# ---- lines


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([b"one\ntwo\n"], ["one", "two"]),
        ([b"on", b"e\r\ntw", b"o"], ["one", "two"]),
        ([b"10%\r20%\r", b"30%\n"], ["10%", "20%", "30%"]),
        ([b"\n\n one\n\n"], [" one"]),
        ([b"caf\xc3", b"\xa9\n"], ["café"]),
        ([b"\xff\xfe\n"], ["\ufffd\ufffd"]),
        ([], []),
    ],
)
def test_pieces_become_whole_lines(pieces: list[bytes], lines: list[str]) -> None:
    assert list(lines_of(pieces)) == lines


def test_a_progress_bar_moves_the_phase_on(nowhere: str) -> None:
    bar = b"Loading safetensors checkpoint shards:  %d%% Completed | 1/4 [00:01<00:03]\r"
    progress: list[int | None] = []
    watch(
        Engine().says(bar % 25, bar % 50).ends(1),
        deployment(nowhere),
        ready_timeout=20,
        stall_timeout=20,
        on_line=lambda _, now: progress.append(now.percent),
    )
    assert progress == [25, 50]
