"""A streamed answer on the screen: a clock while nothing comes, the thinking dimmed on stderr, the answer on stdout.

On a terminal the answer's Markdown is rendered as it grows. Anywhere else its words come as they are.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, TextIO

from ..client.answer import Text, Thinking
from ..client.characters import well_formed
from .output import duration, paint, printable

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live
    from rich.status import Status

    from ..client.answer import Answer, Event

PATIENCE_SECONDS = 1.0
"""So long nothing needs to be said; then a clock shows that something happens."""

REFRESHES_A_SECOND = 8

WIDE = "\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60"
"""Characters of scripts without blanks, between any two of which a line may end."""

PIECE = re.compile(rf"\n|[^\S\n]+|[{WIDE}]|[^\s{WIDE}]+")
"""What stays together in a line: a word, the blanks between two, a wide character."""


@dataclass(slots=True)
class Wrapped:
    """Words that arrive in pieces, in lines that end between them; `held` is the one that may still grow."""

    column: int = 0
    held: str = ""
    _width: int = 80

    def after(self, text: str, width: int) -> str:
        """What can be shown once this has come, on a terminal of so many columns."""
        self._width = width
        pieces = PIECE.findall(self.held + text)
        growing = bool(pieces) and not pieces[-1].isspace() and _cells(pieces[-1]) < width
        self.held = pieces.pop() if growing else ""
        return "".join(map(self._placed, pieces))

    def rest(self) -> str:
        """The last word."""
        word, self.held = self.held, ""
        return self._placed(word)

    def _placed(self, piece: str) -> str:
        if piece == "\n":
            self.column = 0
            return piece
        piece = piece.expandtabs(4)
        cells = _cells(piece)
        begins_line = bool(self.column) and self.column + cells > self._width
        if begins_line and piece.isspace():
            self.column = 0
            return "\n"
        column = cells if begins_line else self.column + cells
        self.column = (column - 1) % self._width + 1 if column else 0
        return f"\n{piece}" if begins_line else piece


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


@dataclass(slots=True)
class Words:
    """Words as they arrive on a stream; `last` are the two characters that they end with until they are ended.

    Those that `wrap` end their lines between words on a terminal: the last word waits until it is whole.
    """

    stream: TextIO
    wraps: bool = False
    last: str = ""
    _lines: Wrapped = field(default_factory=Wrapped)
    _style: str = ""

    def write(self, text: str, style: str = "") -> None:
        """Show them at once."""
        shown = printable(text) if self.stream.isatty() else well_formed(text)
        if self.wraps and self.stream.isatty():
            shown = self._lines.after(shown, shutil.get_terminal_size().columns)
        self._style = style
        self._show(shown)
        self.last = (self.last + text)[-2:]

    def _show(self, shown: str) -> None:
        self.stream.write(paint(shown, self._style, self.stream) if shown and self._style else shown)
        self.stream.flush()

    def end(self, ending: str) -> None:
        """End them, if there are any, with these line breaks, of which they may have some already."""
        if waiting := self._lines.rest():
            self._show(waiting)
        if self.last and not self.last.endswith(ending):
            there = len(self.last) - len(self.last.rstrip("\n"))
            self.write(ending[there:])


class Answering:
    """Shows the events of an answer; a context manager that leaves the cursor on a line of its own.

    `show_text` is off where the answer goes to a file. `raw` leaves Markdown as it is on a terminal too.
    """

    def __init__(self, *, hide_thinking: bool = False, raw: bool = False, show_text: bool = True) -> None:
        self._thinking = Words(sys.stderr, wraps=True)
        self._text: Words | Markdown = (
            Markdown() if show_text and not raw and renders(sys.stdout) else Words(sys.stdout)
        )
        self._clock = Clock()
        self._hide_thinking = hide_thinking
        self._show_text = show_text

    def __enter__(self) -> Answering:
        self._clock.start("listening")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clock.stop()
        self._thinking.end("\n")
        self._text.end("\n")

    def show(self, event: Event) -> None:
        """Show a piece as it arrives."""
        if isinstance(event, Thinking):
            if self._hide_thinking:
                self._clock.start("thinking")
            else:
                self._clock.stop()
                self._thinking.write(event.text, "dim")
        elif isinstance(event, Text):
            if not self._show_text:
                self._clock.start("answering")
                return
            self._clock.stop()
            self._thinking.end("\n\n")
            self._text.write(event.text)

    def complete(self, answer: Answer) -> None:
        """Show the words of an answer whose thinking never ended: all of them are the answer."""
        if self._show_text and not self._text.last and answer.text:
            self.show(Text(answer.text))

    def hold(self) -> None:
        """Take the clock away until the next event: something else moves."""
        self._clock.stop()


class Clock:
    """`listening ... 3.2 s` on a terminal, once nothing has come for a second."""

    def __init__(self) -> None:
        self._shown: Status | None = None
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._begun = 0.0
        self._doing = ""

    def start(self, doing: str) -> None:
        """Show it soon, if it is not shown yet."""
        self._doing = doing
        if self._timer is not None or not sys.stderr.isatty():
            return
        self._begun = time.monotonic()
        self._timer = threading.Timer(PATIENCE_SECONDS, self._show)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """Take it away, for good or until it is started again."""
        if self._timer is None:
            return
        self._timer.cancel()
        with self._lock:
            self._timer = None
            if self._shown is not None:
                self._shown.stop()
                self._shown = None

    def _show(self) -> None:
        from rich.console import Console

        with self._lock:
            if self._timer is not None:
                self._shown = Console(stderr=True, highlight=False).status(self, spinner="dots")
                self._shown.start()

    def __rich__(self) -> str:
        """The line as it is now."""
        return f"{self._doing} ... [dim]{duration(time.monotonic() - self._begun)}[/]"


@dataclass(slots=True)
class Markdown:
    """An answer's Markdown, rendered as it grows: finished blocks for good, the one that still grows anew each time."""

    last: str = ""
    _growing: str = ""
    _blocks: int = 0
    _live: Live | None = field(default=None, repr=False)

    def write(self, text: str) -> None:
        """Take the next words."""
        from rich.console import Console
        from rich.live import Live

        self.last = (self.last + text)[-2:]
        self._growing += printable(text)
        if self._live is None:
            self._live = Live(
                self,
                console=Console(file=sys.stdout, highlight=False),
                refresh_per_second=REFRESHES_A_SECOND,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        finished, self._growing = finished_blocks(self._growing)
        self._print(finished)

    def end(self, ending: str) -> None:
        """Show the last block for good."""
        if self._live is None:
            return
        finished, self._growing = [self._growing], ""
        self._print(finished)
        self._live.stop()
        self._live, self.last = None, ""

    def _print(self, blocks: list[str]) -> None:
        from rich.markdown import Markdown as Rendered

        for block in filter(str.strip, blocks):
            if self._live is not None:
                if self._blocks:
                    self._live.console.print()
                self._live.console.print(Rendered(block))
                self._blocks += 1

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As many of the growing block's last lines as the terminal has room for."""
        from rich.markdown import Markdown as Rendered
        from rich.segment import Segment

        lines = console.render_lines(Rendered(self._growing), options, pad=False)
        if self._blocks and lines:
            lines = [[], *lines]
        for line in lines[-max(1, console.height - 1) :]:
            yield from line
            yield Segment.line()


def finished_blocks(text: str) -> tuple[list[str], str]:
    """The Markdown blocks that nothing can change any more, and the rest, where the last one still grows."""
    from markdown_it import MarkdownIt

    lines = text.splitlines(keepends=True)
    starts = [token.map[0] for token in MarkdownIt().enable("table").parse(text) if token.level == 0 and token.map]
    starts = sorted(set(starts))
    if len(starts) < 2:
        return [], text
    blocks = ["".join(lines[begin:end]) for begin, end in pairwise(starts)]
    return blocks, "".join(lines[starts[-1] :])


def renders(stream: TextIO) -> bool:
    """Whether Markdown can be rendered there: on a terminal that moves its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"
