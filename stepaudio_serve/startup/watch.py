"""Watching a start: log lines, the engine's end and its first healthy answer, raced against each other.

Three threads wait for one thing each and put what they saw into one queue; the watch itself is a loop over
that queue and ends with an `Outcome`. Only the endpoint is asked again and again, for nothing announces it;
rarely while the engine loads, often once its log says that the server starts.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Literal, TypeAlias

from .phases import INITIAL, Phase, Progress, advance
from .probes import health

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..runtime.deployment import Deployment, Exit, Runtime

LINES_KEPT = 20_000
"""Far more than a start says: vLLM 0.32 says some hundreds."""
SLOW_PROBE_SECONDS = 0.5
"""Between two probes while the engine loads, which takes minutes."""
FAST_PROBE_SECONDS = 0.03
"""Between two probes once its log says that the server starts: nobody is to wait for the next one."""
DRAIN_SECONDS = 0.3
"""How long the last words of an ended engine are waited for."""
_LINE_END = re.compile(rb"[\r\n]+")


Result = Literal["ready", "failed", "stalled", "timed-out"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a start ended; `lines` is the log as far as it was kept, `healthy_at` a `time.monotonic()` stamp."""

    result: Result
    progress: Progress
    lines: tuple[str, ...]
    exit: Exit | None = None
    healthy_at: float | None = None


@dataclass(frozen=True, slots=True)
class _Line:
    text: str


@dataclass(frozen=True, slots=True)
class _Ended:
    exit: Exit


@dataclass(frozen=True, slots=True)
class _Healthy:
    at: float


@dataclass(frozen=True, slots=True)
class _Broken:
    error: Exception


@dataclass(frozen=True, slots=True)
class _LogEnd:
    """The log stream has nothing more."""


_Event: TypeAlias = "_Line | _LogEnd | _Ended | _Healthy | _Broken"


def lines_of(chunks: Iterable[bytes]) -> Iterator[str]:
    """Whole lines out of pieces; a carriage return ends a line too, as progress bars use it."""
    rest = b""
    for chunk in chunks:
        *whole, rest = _LINE_END.split(rest + chunk)
        yield from (line.decode("utf-8", "replace") for line in whole if line)
    if rest:
        yield rest.decode("utf-8", "replace")


class _Race:
    """One watch: what has been seen so far, and by when something must be seen next."""

    def __init__(self, *, ready_timeout: float, stall_timeout: float, on_line: Callable[[str, Progress], None]) -> None:
        self.progress = INITIAL
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._on_line = on_line
        self._stall_timeout = stall_timeout
        self._deadline = time.monotonic() + ready_timeout
        self._news_by = time.monotonic() + stall_timeout
        self._ended: Exit | None = None
        self._log_ended = False
        self._drained_by = 0.0

    def patience(self) -> float:
        """Seconds until silence means something."""
        until = min(self._deadline, self._news_by) if self._ended is None else self._drained_by
        return max(0.0, until - time.monotonic())

    def too_late(self) -> bool:
        """Whether time is up although the log goes on and on."""
        return self._ended is None and time.monotonic() >= self._deadline

    def overdue(self) -> Outcome:
        """Nothing was seen in time."""
        if self._ended is not None:
            return self._outcome("failed")
        return self._outcome("timed-out" if self._deadline <= self._news_by else "stalled")

    def take(self, event: _Event) -> Outcome | None:
        """Account for one event; the outcome, if it decides the race."""
        if isinstance(event, _Broken):
            raise event.error
        if isinstance(event, _Healthy):
            return self._outcome("ready", healthy_at=event.at)
        if isinstance(event, _Line):
            self._read(event.text)
        elif isinstance(event, _Ended):
            self._ended, self._drained_by = event.exit, time.monotonic() + DRAIN_SECONDS
        else:
            self._log_ended = True
        return self._outcome("failed") if self._ended is not None and self._log_ended else None

    def _read(self, text: str) -> None:
        if not self._lines or text != self._lines[-1]:
            self._news_by = time.monotonic() + self._stall_timeout
        self._lines.append(text)
        self.progress = advance(self.progress, text)
        self._on_line(text, self.progress)

    def _outcome(self, result: Result, healthy_at: float | None = None) -> Outcome:
        return Outcome(result, self.progress, tuple(self._lines), self._ended, healthy_at)


def watch(
    runtime: Runtime,
    deployment: Deployment,
    *,
    ready_timeout: float,
    stall_timeout: float,
    on_line: Callable[[str, Progress], None],
) -> Outcome:
    """Follow a start until the engine is healthy, has ended, is silent for too long, or too slow.

    Times in seconds. `on_line` is called with every line of the log and the progress after it.

    Raises:
        RuntimeUnavailableError, or what else the runtime raises when it is lost while watching.
    """
    seen: queue.SimpleQueue[_Event] = queue.SimpleQueue()
    hurry, done = threading.Event(), threading.Event()
    for target in (
        lambda: _read_log(runtime, deployment, seen, done),
        lambda: _await_end(runtime, deployment, seen),
        lambda: _await_health(deployment.endpoint, seen, hurry, done),
    ):
        threading.Thread(target=target, daemon=True).start()
    race = _Race(ready_timeout=ready_timeout, stall_timeout=stall_timeout, on_line=on_line)
    try:
        while True:
            try:
                outcome = race.take(seen.get(timeout=race.patience()))
            except queue.Empty:
                return race.overdue()
            if outcome is not None:
                return outcome
            if race.too_late():
                return race.overdue()
            if race.progress.phase in {Phase.SERVING, Phase.READY}:
                hurry.set()
    finally:
        done.set()
        hurry.set()


def _read_log(runtime: Runtime, deployment: Deployment, seen: queue.SimpleQueue[_Event], done: threading.Event) -> None:
    """Read until the log ends, or until its next piece once nobody watches any more."""
    try:
        with closing(runtime.logs(deployment, follow=True)) as pieces:
            for line in lines_of(takewhile(lambda _: not done.is_set(), pieces)):
                seen.put(_Line(line))
    except Exception as error:  # noqa: BLE001 - a log that breaks off is no verdict; the end is awaited apart
        seen.put(_Line(f"(the log broke off: {error})"))
    seen.put(_LogEnd())


def _await_end(runtime: Runtime, deployment: Deployment, seen: queue.SimpleQueue[_Event]) -> None:
    try:
        seen.put(_Ended(runtime.wait(deployment)))
    except Exception as error:  # noqa: BLE001 - carried to the watching thread, which raises it
        seen.put(_Broken(error))


def _await_health(
    endpoint: str, seen: queue.SimpleQueue[_Event], hurry: threading.Event, done: threading.Event
) -> None:
    while not done.is_set():
        if health(endpoint) == "healthy":
            seen.put(_Healthy(time.monotonic()))
            return
        if hurry.is_set():
            done.wait(FAST_PROBE_SECONDS)
        else:
            hurry.wait(SLOW_PROBE_SECONDS)
