"""From the lines of a log to what went wrong: the last line that each entry recognises, ranked by how much it tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .catalogue import Entry, catalogue, known_texts
from .log import Log, Place
from .plain import plain, split_level
from .redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_SHOWN = 600
"""Characters of evidence that are shown."""
_BEGINNINGS = ("vLLM API server version", "non-default args:")
"""What vLLM prints first: before the last of them lies an earlier run, which a restart policy ended."""
_QUIET = {"fatal": ("DEBUG", "INFO", "WARNING"), "request": ("DEBUG", "INFO"), "notice": ("DEBUG",)}
"""Levels at which a line is no evidence: it quotes a request, or the engine has coped."""
_SEVERITIES = ("fatal", "request", "notice")
_TELLING = ("cause", "symptom", "outcome")
_HOST_MEMORY = "host-memory"
_KILLED = "killed"
KILLED_EXIT_CODE = 137
"""128 and SIGKILL's number, as shells and container engines report it."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The line that gave a failure away: its number, counted from 1, and its text, plain and without secrets."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What went wrong (`cause`), how one knows (`evidence`), and what helps (`fix`).

    `data` holds what could be read out of the line, for instance `max_model_len`. `evidence` is None where it is
    not in the log: the container engine reported it.
    """

    id: str
    severity: str
    cause: str
    evidence: Evidence | None
    fix: str
    data: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Hit:
    entry: Entry
    place: Place
    data: Mapping[str, str]


def diagnose(lines: Iterable[str], *, exit_code: int | None = None, oom_killed: bool = False) -> tuple[Diagnosis, ...]:
    """Return what `lines` give away, most telling first; empty if nothing in them is known.

    `lines` are a log's, or a single message of the container engine. Fatal failures come first, then refused
    requests, then notices. Among the fatal ones a cause precedes what only states that something failed, and a later
    one an earlier one: looking backwards from the end, the first specific cause. Each failure is told once, with its
    last evidence. A mere traceback is no failure, since vLLM logs harmless ones.

    `exit_code` and `oom_killed` are what the container engine reports; with `oom_killed` (exit 137 as a rule) the
    lack of main memory is told first. Exit code 137 with nothing fatal in the log is a kill from outside. No exit code
    rules a failure out: an engine that died may exit with 0.
    """
    log = Log.of(lines)
    book = catalogue()
    hits = [hit for rank, entry in enumerate(book) if (hit := _last_hit(log, entry, book[:rank]))]
    run = max(log.text.rfind(text) for text in _BEGINNINGS)
    told = tuple(_tell(hit) for hit in sorted(hits, key=lambda hit: _rank(hit, run)))
    data = {} if exit_code is None else {"exit_code": str(exit_code)}
    if oom_killed:
        return (_reported(_HOST_MEMORY, data), *(one for one in told if one.id != _HOST_MEMORY))
    if exit_code == KILLED_EXIT_CODE and not any(one.severity == "fatal" for one in told):
        return (_reported(_KILLED, data), *told)
    return told


def fatal_in(line: str) -> str | None:
    """Return the id of the fatal failure that `line` alone gives away, or None."""
    if not any(text in line for text in known_texts()):
        return None
    return next((one.id for one in diagnose((line,)) if one.severity == "fatal"), None)


def _last_hit(log: Log, entry: Entry, before: Sequence[Entry]) -> _Hit | None:
    """Return the last line that `entry` recognises and none of the entries `before` it does."""
    for place in log.places(entry.says):
        data = _recognise(log, place, entry)
        if data is not None and not any(
            any(text in place.around for text in other.says) and _recognise(log, place, other) is not None
            for other in before
        ):
            return _Hit(entry, place, data)
    return None


def _recognise(log: Log, place: Place, entry: Entry) -> Mapping[str, str] | None:
    """Return what `entry` reads out of the line at `place`, or None if it does not recognise it."""
    if split_level(place.head)[0] in _QUIET[entry.severity]:
        return None
    found = entry.like.search(place.around) if entry.like else None
    if entry.like and not found:
        return None
    if entry.near and not any(text in log.near(place) for text in entry.near):
        return None
    groups = found.groupdict() if found else {}
    return {name: redact(value) for name, value in groups.items() if value}


def _rank(hit: _Hit, run: int) -> tuple[int, bool, int, int]:
    entry, begin = hit.entry, hit.place.begin
    earlier = begin < run and not entry.ahead
    return _SEVERITIES.index(entry.severity), earlier, _TELLING.index(entry.tells), -begin


def _tell(hit: _Hit) -> Diagnosis:
    text = redact(plain(hit.place.around)).strip()
    shown = text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
    return _worded(hit.entry, Evidence(hit.place.number, shown), hit.data)


def _reported(name: str, data: Mapping[str, str]) -> Diagnosis:
    """What the container engine reported, in the catalogue's words."""
    return _worded(next(entry for entry in catalogue() if entry.id == name), None, data)


def _worded(entry: Entry, evidence: Evidence | None, data: Mapping[str, str]) -> Diagnosis:
    words = dict.fromkeys(entry.like.groupindex, "") | dict(data) if entry.like else data
    return Diagnosis(
        entry.id, entry.severity, entry.cause.format_map(words), evidence, entry.fix.format_map(words), data
    )
