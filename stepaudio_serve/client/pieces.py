"""What was heard in the parts of a recording, as pieces of text with their times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from .seams import has_words, join

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Piece:
    """What was said of `sound` from `start` to `end` (seconds).

    `seam` tells how it continues the piece before: `joined` at words that both have, `silence` where nothing is said
    in between, `unmatched` where no words agree, so that some may stand twice; `first` continues none.
    """

    sound: str
    start: float
    end: float
    text: str
    seam: Literal["first", "joined", "silence", "unmatched"] = "first"

    def to_json(self) -> dict[str, Any]:
        """The piece in JSON output."""
        return {
            "sound": self.sound,
            "start": round(self.start, 2),
            "end": round(self.end, 2),
            "text": self.text,
            "seam": self.seam,
        }


@dataclass(frozen=True, slots=True)
class Told:
    """What was answered about one window; `overlap` as in `Window`."""

    sound: str
    start: float
    end: float
    text: str
    overlap: float = 0.0
    silent_overlap: bool = False


def spliced(told: Iterable[Told]) -> Iterator[Piece]:
    """Transcripts of windows as pieces without the words that stand in two: each once the next one is known."""
    last: Piece | None = None
    for item in told:
        piece = Piece(item.sound, item.start, item.end, item.text.strip())
        if last is None:
            last = piece
            continue
        if item.sound == last.sound and item.overlap:
            last, piece = _continued(last, piece, item)
        yield last
        last = piece
    if last is not None:
        yield last


def apart(told: Iterable[Told]) -> Iterator[Piece]:
    """Answers that are not spliced, as pieces that do not overlap in time."""
    for item in told:
        yield Piece(item.sound, item.start + item.overlap, item.end, item.text.strip())


def stamp(seconds: float) -> str:
    """A place in a recording: 01:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest:02d}"


def in_words(piece: Piece, *, named: bool = False) -> str:
    """A piece as a paragraph behind the time at which it begins, where it has a text."""
    doubtful = ""
    if piece.seam == "unmatched":
        doubtful = f"[{stamp(piece.start)} no words agree here: the next ones may stand above too]\n"
    if not piece.text:
        return ""
    place = f"{piece.sound} {stamp(piece.start)}" if named else stamp(piece.start)
    return f"{doubtful}[{place}] {piece.text}"


def _continued(last: Piece, piece: Piece, item: Told) -> tuple[Piece, Piece]:
    joined = join(last.text, piece.text, overlap=item.overlap)
    if joined.words:
        at = item.start + item.overlap * joined.place
        return replace(last, text=joined.left, end=at), replace(piece, text=joined.right, start=at, seam="joined")
    if item.silent_overlap or not (has_words(last.text) and has_words(piece.text)):
        at = item.start + item.overlap
        return replace(last, end=at), replace(piece, start=at, seam="silence")
    return last, replace(piece, seam="unmatched")
