"""The hand-off: the canary is asked, the restart policy is set, and the endpoint is the user's."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import UnhealthyError
from ..runtime.deployment import gone
from ..startup.probes import health
from .api_key import key_of
from .failure import failed_start
from .status import Status, log_lines, status_of, with_plugin

if TYPE_CHECKING:
    from ..runtime.deployment import Deployment, Runtime
    from ..settings.options import Settings
    from ..startup.canary import Canary, CanaryResult
    from .observer import Observer

DYING_SECONDS = 10.0
"""From the death of its core to the end of the server: vLLM 0.32 was seen to take 2.6 to 4.6 s."""


@dataclass(frozen=True, slots=True)
class Launched:
    """What `up` or `wait` ended with; times in seconds.

    `already` says that it ran before; `start` counts to the engine's first healthy answer, `ready` to the
    hand-off, `canary` is the question alone. `reaction` is the time from the first healthy answer to the question,
    `answered_at` the moment of its answer in seconds since the epoch.
    """

    status: Status
    already: bool
    start: float | None = None
    ready: float | None = None
    reaction: float | None = None
    canary: CanaryResult | None = None
    answered_at: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The document that `up --json` and `wait --json` print."""
        asked = self.canary
        return {
            **self.status.to_json(),
            "already_running": self.already,
            "seconds": {
                "start": _rounded(self.start),
                "ready": _rounded(self.ready),
                "canary": _rounded(asked.seconds) if asked else None,
                "reaction": _rounded(self.reaction),
            },
            "canary": {
                "asked": asked.asked if asked else None,
                "answer": asked.answer if asked else None,
                "heard": asked.heard if asked else None,
                "why": asked.why if asked else "",
                "answered_at": self.answered_at,
            },
        }


@dataclass(frozen=True, slots=True)
class Moments:
    """`time.monotonic()` stamps: when the command began, and when the engine first said that it is healthy."""

    began: float
    healthy: float


def canary_for(settings: Settings) -> Canary | None:
    """The question to ask, loaded with the HTTP client before the engine is ready; None when it is switched off."""
    if settings.canary == "off":
        return None
    from ..startup.canary import load_canary

    return load_canary()


def hand_over(
    runtime: Runtime,
    deployment: Deployment,
    settings: Settings,
    canary: Canary | None,
    moments: Moments,
    observer: Observer,
) -> Launched:
    """Ask the canary, then leave the healthy engine to itself: from here on it is restarted as its plan says.

    One whose answer is not accepted runs on without its restart policy, by which it is told from one that was
    handed over.

    Raises:
        EngineFailedError: the engine died of the question.
        UnhealthyError: it did not answer, or it did not hear and the canary is strict.
    """
    heard, reaction, answered_at = None, None, None
    if canary is not None:
        from ..startup.canary import ask_canary

        key = key_of(settings, deployment)
        observer.asking(canary.question)
        reaction = time.monotonic() - moments.healthy
        heard = ask_canary(canary, deployment.endpoint, deployment.model, engine=deployment.engine, api_key=key)
        answered_at = time.time()
    unanswered = heard is not None and heard.heard is None
    now = _after_question(runtime, deployment, unanswered=unanswered)
    if now is None or now.id != deployment.id:
        raise gone(deployment)
    if now.state == "exited":
        raise failed_start(now, log_lines(runtime, now), "the engine died of the first question")
    _judge(heard, settings, deployment.name)
    if undone := runtime.hand_over(now):
        observer.notice(undone)
    status = with_plugin(runtime, status_of(runtime, runtime.find(deployment.name) or now), settings)
    done = time.monotonic()
    return Launched(status, False, moments.healthy - moments.began, done - moments.began, reaction, heard, answered_at)


def _after_question(runtime: Runtime, deployment: Deployment, *, unanswered: bool) -> Deployment | None:
    """Look again; where no answer came, give an engine that is dying the time to end."""
    until = time.monotonic() + (DYING_SECONDS if unanswered else 0)
    while (now := runtime.find(deployment.name)) is not None and now.state == "running":
        if time.monotonic() >= until or health(deployment.endpoint) == "healthy":
            break
        time.sleep(0.1)
    return now


def _judge(canary: CanaryResult | None, settings: Settings, name: str) -> None:
    """No answer at all is always an error, for `/health` alone says little; a wrong one when the canary is strict."""
    if canary is None:
        return
    fix = (
        f"stepaudio-serve logs {name} --tail 50   # it keeps running: stepaudio-serve wait {name} asks again, "
        f"stepaudio-serve down {name} ends it"
    )
    if canary.heard is None:
        raise UnhealthyError(
            "the engine says that it is healthy, and did not answer a question", why=canary.why, fix=fix
        )
    if not canary.heard and settings.canary == "strict":
        answer = (canary.answer or "")[:200]
        raise UnhealthyError(
            "the engine answers, but did not hear what was said",
            why=f"{canary.why} Its answer: {answer!r}",
            fix=fix,
        )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
