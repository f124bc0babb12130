"""Admission, pace and death: what in vLLM is the engine core."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from . import startup_log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from .answer import Reply
    from .failures import Failure
    from .metrics import Metrics
    from .options import EngineOptions
    from .settings import RehearsalSettings

LINGER_SECONDS = 1.0
"""How long a server goes on answering after its engine core died; vLLM 0.32 was seen to take 2.6 to 4.6 s."""

SLOWNESS = 20


class EngineDeadError(RuntimeError):
    """The engine core is gone; the request in flight is lost."""


class Engine:
    """Answers up to `max_num_seqs` requests at a time, at the set pace, until it dies.

    `end` is called with the exit code when the server shall end because the engine did.
    """

    def __init__(
        self,
        options: EngineOptions,
        settings: RehearsalSettings,
        metrics: Metrics,
        end: Callable[[int], None],
    ) -> None:
        self._options = options
        self._settings = settings
        self._metrics = metrics
        self._end = end
        self._places = asyncio.Semaphore(options.max_num_seqs)
        self._dead = asyncio.Event()
        self._unhealthy_status: int | None = None
        self.in_flight = 0

    @property
    def health(self) -> int:
        """The HTTP status of `/health`: a dead engine says 503; one that hangs still says 200."""
        return 503 if self._dead.is_set() else self._unhealthy_status or 200

    def triggered(self, clip_seconds: tuple[float, ...]) -> Failure | None:
        """The failure that a request with such clips sets off, if any."""
        failure = self._settings.failure
        return failure if failure and failure.concerns(clip_seconds) else None

    @contextlib.asynccontextmanager
    async def place(self, prompt_tokens: int, failure: Failure | None) -> AsyncIterator[None]:
        """Wait for a place and hold it. Raises EngineDeadError when the engine is, or thereby becomes, dead."""
        self.in_flight += 1
        try:
            with self._metrics.waiting.track_inprogress():
                await self._places.acquire()
            try:
                with self._metrics.running.track_inprogress():
                    await self._enact(failure)
                    self._metrics.prompt_tokens.inc(prompt_tokens)
                    yield
            finally:
                self._places.release()
        except (asyncio.CancelledError, GeneratorExit):
            self._metrics.ended("abort")
            raise
        finally:
            self.in_flight -= 1

    async def speak(self, reply: Reply, failure: Failure | None) -> AsyncIterator[str]:
        """The reply's pieces, one at a time. Raises EngineDeadError when the engine dies meanwhile."""
        slowness = SLOWNESS if failure and failure.behaviour == "slow" else 1
        began = time.monotonic()
        for number, piece in enumerate(reply.pieces):
            await self._pause(self._settings.token_seconds * slowness)
            if number == 0:
                self._metrics.first_token_seconds.observe(time.monotonic() - began)
            self._metrics.generated_tokens.inc()
            yield piece
        self._metrics.request_seconds.observe(time.monotonic() - began)
        self._metrics.ended(reply.finish_reason)

    async def fail_later(self) -> None:
        """Fail some seconds after the start, when told to."""
        failure = self._settings.failure
        if failure is None or failure.when != "ready":
            return
        await asyncio.sleep(self._settings.fail_seconds)
        if failure.behaviour == "unhealthy":
            self._unhealthy_status = failure.status
        elif failure.behaviour == "die":
            await self._die(failure)
        else:
            startup_log.end_now(failure, self._options)

    async def _enact(self, failure: Failure | None) -> None:
        if self._dead.is_set():
            raise EngineDeadError
        if failure is None:
            return
        if failure.behaviour == "die":
            asyncio.get_running_loop().create_task(self._die(failure))
            await self._pause(LINGER_SECONDS)
        if failure.behaviour == "hang":
            await self._dead.wait()
            raise EngineDeadError

    async def _die(self, failure: Failure) -> None:
        startup_log.tell(failure, self._options, "running")
        self._dead.set()
        await asyncio.sleep(LINGER_SECONDS)
        self._end(failure.exit_code)

    async def _pause(self, seconds: float) -> None:
        """Wait, or raise EngineDeadError as soon as the engine is dead."""
        if seconds == 0:
            await asyncio.sleep(0)
        else:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._dead.wait(), seconds)
        if self._dead.is_set():
            raise EngineDeadError
