"""Where output goes: data to stdout, notices to stderr; with `--json` one document and nothing else on stdout."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from itertools import takewhile
from typing import TYPE_CHECKING, Any, TextIO

import click

from ..client.characters import well_formed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..errors import StepAudioError

MARKS = {"ok": ("✓", "green"), "note": ("·", "cyan"), "warning": ("!", "yellow"), "blocker": ("✗", "red")}


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether the user asked for JSON, known even when the arguments are wrong."""
    own = takewhile(lambda word: word != "--", arguments)  # what follows is the engine's
    return "--json" in own


def colour(stream: TextIO) -> bool:
    """Colours only on a terminal, and never with NO_COLOR."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str, stream: TextIO) -> str:
    """Text in a colour or `dim`/`bold`, where the stream takes it."""
    if not colour(stream):
        return text
    if style in {"dim", "bold"}:
        return click.style(text, **{style: True})
    return click.style(text, fg=style)


def printable(text: str) -> str:
    """In whole characters, without the control characters that a terminal would obey."""
    return "".join(c for c in well_formed(text) if c in "\n\t" or not (ord(c) < 32 or 127 <= ord(c) < 160))


def data(text: str) -> None:
    """A line of the result."""
    sys.stdout.write(well_formed(text) + "\n")


def document(value: Any) -> None:
    """The one JSON document."""
    data(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def notice(text: str, *, level: str = "note", style: str = "", stream: TextIO | None = None) -> None:
    """A remark with its mark: beside the result on stderr, where it is not itself the result.

    Its words may be another's, such as a server's.
    """
    stream = stream or sys.stderr
    shown = prose(printable(text), stream, indent="  ")
    stream.write(f"{mark(level, stream)} {paint(shown, style, stream) if style else shown}\n")
    stream.flush()


def row(label: str, text: str, *, stream: TextIO | None = None, whole: bool = False) -> None:
    """A labelled line below a remark, such as its `why`; a `whole` one can be pasted. Nothing without a text."""
    stream = stream or sys.stderr
    if text:
        words = printable(text)
        shown = words if whole else prose(words, stream, indent=" " * 7)
        stream.write(f"  {paint(label.ljust(4), 'dim', stream)} {shown}\n")


def prose(text: str, stream: TextIO, *, indent: str) -> str:
    """Text that stands behind an indent, with lines that end between words where a terminal's end is."""
    if not stream.isatty():
        return text
    width = max(shutil.get_terminal_size().columns, len(indent) + 20)
    lines = (
        textwrap.wrap(
            line,
            width,
            break_long_words=False,
            break_on_hyphens=False,
            initial_indent=indent,
            subsequent_indent=indent,
        )
        for line in text.splitlines()
    )
    return "\n".join("\n".join(pieces) for pieces in lines).removeprefix(indent)


def remark(error: StepAudioError) -> None:
    """Say what is wrong and does not end the command."""
    notice(f"{error.what}: {error.why}" if error.why else error.what, level="warning")
    row("fix", error.fix, whole=True)


def mark(level: str, stream: TextIO) -> str:
    """A level's mark, or a word where the stream cannot show it."""
    sign, style = MARKS[level]
    try:
        sign.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        sign = level
    return paint(sign, style, stream)


def table(rows: Sequence[Sequence[str]], header: Sequence[str], *, ends_in_prose: bool = False) -> None:
    """Columns on stdout, as `docker ps` prints them: plain text, cut nowhere.

    With `ends_in_prose` the last column's lines end between words on a terminal.
    """
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    data(
        paint(
            "  ".join(cell.ljust(width) for cell, width in zip(header, widths, strict=True)).rstrip(),
            "bold",
            sys.stdout,
        )
    )
    indent = " " * sum(width + 2 for width in widths[:-1])
    for row in rows:
        last = prose(row[-1], sys.stdout, indent=indent) if ends_in_prose else row[-1]
        cells = zip((*row[:-1], last), widths, strict=True)
        data("  ".join(cell.ljust(width) for cell, width in cells).rstrip())


def duration(seconds: float | None) -> str:
    """Time in human units: 0.4 s, 2 min 05 s, 3 h 10 min, 2 d 4 h."""
    if seconds is None:
        return "-"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def size(count: float) -> str:
    """Bytes in human units, decimal as `docker` prints them."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"
