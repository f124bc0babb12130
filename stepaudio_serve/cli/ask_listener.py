"""What `ask` shows while it listens: the streamed answer, and for longer audio which part is heard."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..client.answer import Text
from ..client.listen import Listener
from ..client.pieces import in_words, stamp
from .answering import Answering
from .output import data, duration, notice, printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from rich.progress import Progress, TaskID

    from ..client.answer import Event
    from ..client.listen import Heard
    from ..client.pieces import Piece


class Quiet(Listener):
    """Remarks only: standard output is for one JSON document. `broken_off` is what was heard before a failure."""

    def __init__(self) -> None:
        self.broken_off: list[Heard] = []

    def __enter__(self) -> Quiet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def notice(self, text: str) -> None:
        """A remark on stderr."""
        self._say(text)

    def parts(self, count: int | None, seconds: float | None, context: int) -> None:
        """Why it takes longer."""
        length = "this audio does" if seconds is None else f"{duration(seconds)} of audio do"
        parts = "parts" if count is None else f"about {count} parts"
        self._say(f"{length} not fit {context:,} tokens together with an answer: asked in {parts}")

    def piece(self, piece: Piece) -> None:
        """A seam that may hold words twice is said."""
        if piece.seam == "unmatched":
            self._say(f"no words agree at {stamp(piece.start)}: some may stand twice there", level="warning")

    def left(self, heard: Heard) -> None:
        """Kept for who wants it."""
        self.broken_off.append(heard)

    def end(self, heard: Heard) -> None:
        """What a user should know of the whole."""
        if heard.answer.notice:
            self._say(heard.answer.notice)
        if heard.answer.finish_reason == "length":
            self._say("the answer was cut off: --max-tokens or the context is used up", level="warning")

    def _say(self, text: str, level: str = "note") -> None:
        notice(text, level=level)


class Shown(Quiet):
    """The answer as it streams; parts with a bar on a terminal and a line each elsewhere.

    `title` stands above the answer where there are several.
    """

    def __init__(self, *, title: str, hide_thinking: bool, raw: bool, show_text: bool) -> None:
        super().__init__()
        self._answering = Answering(hide_thinking=hide_thinking, raw=raw, show_text=show_text)
        self._bar = Bar()
        self._title = title
        self._show_text = show_text
        self._count: int | None = None
        self._has_text = False

    def __enter__(self) -> Shown:
        if self._title and self._show_text:
            data(f"## {printable(self._title)}\n")
        self._answering.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        self._answering.__exit__(kind, error, trace)

    def parts(self, count: int | None, seconds: float | None, context: int) -> None:
        """The bar takes the place of the clock."""
        self._answering.hold()
        super().parts(count, seconds, context)
        self._count = count
        self._bar.start(count)

    def part_begins(self, number: int, start: float, end: float) -> None:
        """Which part it is."""
        of = "" if self._count is None else f" of {max(self._count, number)}"
        self._bar.doing(f"part {number}{of}, {stamp(start)} to {stamp(end)}")

    def part_ends(self) -> None:
        """One more."""
        self._bar.step()

    def piece(self, piece: Piece) -> None:
        """A part's words, as soon as they are final."""
        super().piece(piece)
        words = in_words(piece)
        if words and self._show_text:
            with self._bar.away():
                data((printable(words) if sys.stdout.isatty() else words) + "\n")
                sys.stdout.flush()

    def joining(self, texts: int) -> None:
        """The end is near."""
        self._bar.doing(f"one answer of those about {texts} parts")

    def event(self, event: Event) -> None:
        """The answer streams."""
        self._bar.stop()
        self._has_text = self._has_text or isinstance(event, Text)
        self._answering.show(event)

    def may_begin_anew(self) -> bool:
        """Not once its words are on standard output."""
        return not (self._has_text and self._show_text)

    def end(self, heard: Heard) -> None:
        """How long it took, below the answer."""
        self.__exit__(None, None, None)
        super().end(heard)
        tokens = (heard.answer.usage or {}).get("completion_tokens")
        if self._title and self._show_text:
            data("")
        self._say(
            f"{duration(heard.audio_seconds)} of audio, answered in {duration(heard.answer.seconds)}"
            f"{f', {tokens} tokens' if tokens else ''}"
        )

    def _say(self, text: str, level: str = "note") -> None:
        with self._bar.away():
            notice(text, level=level)


class Bar:
    """How many of some are done, and what is being done: a bar on a terminal, a line for each elsewhere."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def start(self, count: int | None) -> None:
        """Show it."""
        if not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True, highlight=False),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("", total=count)
        self._progress.start()

    def doing(self, text: str) -> None:
        """What is being done now."""
        if self._progress is not None and self._task is not None:
            from rich.markup import escape

            self._progress.update(self._task, description=escape(printable(text)))
        elif not sys.stderr.isatty():
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    def step(self) -> None:
        """One more is done."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task)

    def stop(self) -> None:
        """Take it away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    @contextmanager
    def away(self) -> Iterator[None]:
        """Out of the way while something is printed above it."""
        progress = self._progress
        if progress is None:
            yield
            return
        progress.stop()
        yield
        if progress is self._progress:
            progress.start()
