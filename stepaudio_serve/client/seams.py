"""Two transcripts of sounds that overlap, joined so that no word stands twice and none is lost.

The end of the one and the beginning of the other hold the same words, but those at the very edge of a sound are
often misheard. So the two are joined inside the longest run of words that both have.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher

SURE_WORDS = 3
"""A shorter run counts only at the very edge of both texts; a longer one too where joining there would lose more words
than it has."""

FASTEST_WORDS_A_SECOND = 6.0
"""Nobody speaks faster for long; in scripts without blanks each character counts as a word."""

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Kana and Han, which are written without blanks between words."""

_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+(?:['\u2019][^\W\d_{_UNSPACED}]+)*")
_SENTENCE_END = re.compile(r"[^\w\s]*[.!?\u3002\uff01\uff1f\u2026]")


@dataclass(frozen=True, slots=True)
class Join:
    """Both texts without what stood twice.

    `words` is how many the common run has; 0 where nothing matched, and both are as they were. `place` is where in
    the overlap they were joined, from 0 at its beginning to 1 at its end.
    """

    left: str
    right: str
    words: int
    place: float = 0.0


@dataclass(frozen=True, slots=True)
class _Word:
    end: int
    plain: str


@dataclass(frozen=True, slots=True)
class _Run:
    """`size` words in common: from `left` in the words of the one, from `right` in those of the other."""

    left: int
    right: int
    size: int


def join(left: str, right: str, *, overlap: float) -> Join:
    """Join two texts whose sounds share `overlap` seconds; a sentence's end inside the run is the best place."""
    limit = round(overlap * FASTEST_WORDS_A_SECOND) + SURE_WORDS
    tail, head = _words(left)[-limit:], _words(right)[:limit]
    run = _common_run([word.plain for word in tail], [word.plain for word in head], limit)
    if run is None:
        return Join(left.strip(), right.strip(), 0)
    last = _best_place([right[word.end :] for word in head[run.right : run.right + run.size]])
    after = right[head[run.right + last].end :]
    closing = _closing_punctuation(after)
    shared = run.right + len(tail) - run.left
    return Join(
        left=left[: tail[run.left + last].end].lstrip() + after[:closing],
        right=after[closing:].strip(),
        words=run.size,
        place=(run.right + last + 1) / shared,
    )


def has_words(text: str) -> bool:
    """Whether anything in it can be matched."""
    return _WORD.search(text) is not None


def _words(text: str) -> list[_Word]:
    return [_Word(found.end(), _plain(found.group())) for found in _WORD.finditer(text)]


def _plain(word: str) -> str:
    return unicodedata.normalize("NFKC", word).casefold().replace("\u2019", "'")


def _common_run(tail: list[str], head: list[str], limit: int) -> _Run | None:
    """The longest run in common that the overlap can hold together with the words before and after it."""
    best: _Run | None = None
    lengths = [0] * (len(head) + 1)
    for i, word in enumerate(tail):
        longer = [0] * (len(head) + 1)
        for j, other in enumerate(head):
            if word != other:
                continue
            size = longer[j + 1] = lengths[j] + 1
            run = _Run(i - size + 1, j - size + 1, size)
            if (
                j + len(tail) - i <= limit
                and (best is None or size > best.size)
                and _is_sure(run, len(tail))
                and _lost(run, tail, head) <= size
            ):
                best = run
        lengths = longer
    return best


def _is_sure(run: _Run, tail: int) -> bool:
    away = run.right + tail - (run.left + run.size)
    return run.size >= SURE_WORDS or away < run.size


def _lost(run: _Run, tail: list[str], head: list[str]) -> int:
    """How many of the words that are cut off behind and before the run the other text does not have in its place."""
    after, before = tail[run.left + run.size :], head[: run.right]
    other_after = head[run.right + run.size :][: len(after) + SURE_WORDS]
    other_before = tail[: run.left][-len(before) - SURE_WORDS :]
    return len(after) + len(before) - _in_common(after, other_after) - _in_common(before, other_before)


def _in_common(some: list[str], others: list[str]) -> int:
    return sum(block.size for block in SequenceMatcher(None, some, others, autojunk=False).get_matching_blocks())


def _best_place(followed_by: list[str]) -> int:
    """Which word of a run to end the left text with: one that ends a sentence, else the middle one."""
    middle = (len(followed_by) - 1) / 2
    ends = [number for number, text in enumerate(followed_by) if _SENTENCE_END.match(text)]
    return min(ends or range(len(followed_by)), key=lambda number: abs(number - middle))


def _closing_punctuation(text: str) -> int:
    """How many characters at the beginning belong to the word before: up to a blank or an opening mark."""
    for number, character in enumerate(text):
        if unicodedata.category(character) not in {"Po", "Pe", "Pf", "Pd"} and character not in "\"'":
            return number
    return len(text)
