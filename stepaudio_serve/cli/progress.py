"""The progress of `up`: a live line on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from ..lifecycle.observer import Observer
from .fetching import Rate, ask_whether, layers_in_words, missing_in_words
from .output import duration, notice, prose, row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from rich.status import Status

    from ..finding import Finding
    from ..lifecycle.fetch import Missing
    from ..plan.plan import Plan
    from ..startup.phases import Progress
    from .fetching import LayerBars

PULL_LINE_SECONDS = 5.0
FIRST_WORDS = "started; waiting for the engine's first words"


class PlainObserver(Observer):
    """A line for each change of phase, with the time since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._phase = ""
        self._said = ""
        self._layers: dict[str, tuple[int, int]] = {}
        self._rate = Rate()
        self._fetch_said = 0.0
        self.asks = False

    def __enter__(self) -> PlainObserver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is left on the screen that moves."""

    def say(self, text: str) -> None:
        """A step, with the time since the start."""
        shown = prose(text, sys.stderr, indent=" " * 11)
        sys.stderr.write(f"[{duration(time.monotonic() - self._began):>8}] {shown}\n")
        sys.stderr.flush()

    def planned(self, plan: Plan) -> None:
        """What is about to be started."""
        where = plan.image if plan.runtime == "docker" else "a child process"
        self.say(f"{plan.name}: {plan.served_model_name} in {where}, plan {plan.hash}")

    def findings(self, findings: Sequence[Finding]) -> None:
        """Warnings and notes of the checks."""
        for finding in findings:
            notice(finding.what, level=finding.level)
            row("why", finding.why)

    def notice(self, text: str) -> None:
        """A remark."""
        notice(text)

    def may_fetch(self, missing: Missing) -> bool:
        """What is to come; `asks` whether it may, once."""
        self.close()
        lines = missing_in_words(missing)
        for line in lines:
            notice(f"to fetch: {line}")
        return ask_whether() if self.asks else True

    def fetching(self, repository: str, have: int, total: int) -> None:
        """A line every few seconds."""
        self._rate.note(have)
        if self._is_time():
            self.say(f"fetching {repository}: {self._rate.in_words(have, total)}")

    def fetched(self, text: str) -> None:
        """The checkpoint is there."""
        self.say(text)

    def pulling(self, image: str, event: Mapping[str, Any]) -> None:
        """Sum the layers up; a line every few seconds."""
        amount = layers_in_words(self._layers, event)
        if self._is_time():
            self.say(f"pulling {image}{amount}")

    def pulled(self, image: str) -> None:
        """The image is there."""
        self.say(f"pulled {image}")

    def started(self) -> None:
        """The engine is about to speak."""
        self._phase = "created"
        self.say(FIRST_WORDS)

    def line(self, text: str, progress: Progress) -> None:
        """What is new: each phase, and what it ended with; not every percent between."""
        phase = progress.phase.value
        if phase != self._phase or (progress.detail != self._said and progress.percent is None):
            self._phase, self._said = phase, progress.detail
            self.say(in_words(progress))

    def asking(self, question: str) -> None:
        """The engine listens."""
        self.say("healthy; asking a spoken question")

    def _is_time(self) -> bool:
        now = time.monotonic()
        if self._fetch_said and now - self._fetch_said < PULL_LINE_SECONDS:
            return False
        self._fetch_said = now
        return True


class AttachedObserver(PlainObserver):
    """The engine's own log on stdout, as `docker run` shows it."""

    def line(self, text: str, progress: Progress) -> None:
        """Every line."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


class LiveObserver(PlainObserver):
    """One line with a spinner that says what the engine is doing, and for how long."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._text = "starting"
        self._live: Status | None = None
        self._bars: LayerBars | None = None

    def close(self) -> None:
        """Remove what is live."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._bars is not None:
            self._bars.close()
            self._bars = None

    def findings(self, findings: Sequence[Finding]) -> None:
        """Print above the live line."""
        self.close()
        super().findings(findings)

    def notice(self, text: str) -> None:
        """Print above the live line."""
        self.close()
        super().notice(text)

    def fetching(self, repository: str, have: int, total: int) -> None:
        """The sum, live."""
        self._rate.note(have)
        self._show(f"fetching {repository}: {self._rate.in_words(have, total)}")

    def fetched(self, text: str) -> None:
        """Leave a line behind."""
        self.close()
        super().fetched(text)

    def pulling(self, image: str, event: Mapping[str, Any]) -> None:
        """A line for each layer, as `docker pull` shows them."""
        from .fetching import LayerBars

        if self._bars is None:
            self.close()
            self._bars = LayerBars(self._console)
        self._bars.show(event)

    def pulled(self, image: str) -> None:
        """Leave a line behind."""
        self.close()
        super().pulled(image)

    def started(self) -> None:
        """The spinner turns from the very start."""
        self._phase = "created"
        self._show(FIRST_WORDS)

    def line(self, text: str, progress: Progress) -> None:
        """The phase line; a finished phase stays on the screen."""
        phase = progress.phase.value
        if phase != self._phase:
            if self._phase:
                self.close()
                self.say(self._text)
            self._phase = phase
        self._show(in_words(progress) if progress.detail else self._text)

    def asking(self, question: str) -> None:
        """The engine listens."""
        self.close()
        if self._phase:
            self.say(self._text)
        self._show("healthy; asking a spoken question")

    def _show(self, text: str) -> None:
        self._text = text
        if self._live is None:
            self._live = self._console.status(_Clock(self), spinner="dots")
            self._live.start()

    def __rich__(self) -> str:
        """The live line as it is now."""
        from rich.markup import escape

        return f"{escape(self._text)} [dim]{duration(time.monotonic() - self._began)}[/]"


class _Clock:
    """Renders its observer's line anew at each refresh, so that the time goes on while nothing is said."""

    def __init__(self, observer: LiveObserver) -> None:
        self._observer = observer

    def __rich__(self) -> str:
        return self._observer.__rich__()


def in_words(progress: Progress) -> str:
    """What the engine does; a rehearsal engine, known by its version, only plays it."""
    words = progress.detail or progress.phase.value
    return f"rehearsal: {words}" if "rehearsal" in str(progress.facts.get("version", "")) else words


def observer_for(*, attached: bool) -> PlainObserver:
    """The observer that fits where stderr goes."""
    if attached:
        return AttachedObserver()
    return LiveObserver() if sys.stderr.isatty() else PlainObserver()
