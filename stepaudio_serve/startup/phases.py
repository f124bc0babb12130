"""The phases of a start, told by the engine's log: a pure state machine over lines, with its table in `phases.yaml`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from ..diagnosis import fatal_in, split_level

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Fact: TypeAlias = "int | float | str"


class Phase(str, Enum):
    """How far a start has come, in order; the last three end it otherwise, and no line of log leads there."""

    CREATED = "created"
    STARTING = "starting"
    RESOLVING = "resolving"
    LOADING = "loading"
    PROFILING = "profiling"
    COMPILING = "compiling"
    KV_CACHE = "kv-cache"
    CAPTURING = "capturing"
    SERVING = "serving"
    READY = "ready"
    FAILED = "failed"
    STALLED = "stalled"
    TIMED_OUT = "timed-out"

    __str__ = str.__str__


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a start has come.

    `detail` is the phase in words; `percent` (0 to 100) is known while weights load and graphs are captured. `facts`
    holds what the engine has reported so far, each only if it has: version, plugin (the Step-Audio plugin's version,
    once it is registered), architecture, max_model_len, kv_tokens, kv_gib, concurrency (at max_model_len), weights_gib,
    weights_seconds, compile_seconds, graphs, captured, graphs_gib, capture_seconds, init_seconds, and fatal (the id of
    the first known fatal failure).
    """

    phase: Phase
    detail: str = ""
    percent: int | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)


INITIAL = Progress(Phase.CREATED)


def advance(progress: Progress, line: str) -> Progress:
    """Return the progress after `line`: the same object if it says nothing new.

    A phase is never left for an earlier one, except that a new run of the engine in the same log starts over.
    """
    level, said = split_level(line)
    text = _TAG.sub("", said)
    after = progress
    if text.startswith(_beginnings()):
        for rule in _rules():
            if text.startswith(rule.starts) and (facts := rule.read(text)) is not None:
                after = rule.apply(after, facts)
    may_be_fatal = level in {"ERROR", "CRITICAL"} or (not level and "Error" in text)
    if after is progress and may_be_fatal and "fatal" not in progress.facts:
        failure = fatal_in(line)
        after = replace(progress, facts={**progress.facts, "fatal": failure}) if failure else progress
    return progress if after == progress else after


@dataclass(frozen=True, slots=True)
class _Rule:
    """One row of the table."""

    starts: tuple[str, ...]
    like: re.Pattern[str] | None
    facts: Mapping[str, str]
    phase: Phase | None
    detail: str
    new_run: bool
    ahead: bool

    def read(self, text: str) -> dict[str, Fact] | None:
        """Return the facts in `text`, or None if the line is another one."""
        if self.like is None:
            return {}
        if not (found := self.like.match(text)):
            return None
        return {name: _KINDS[self.facts[name]](value) for name, value in found.groupdict().items() if value}

    def apply(self, progress: Progress, facts: dict[str, Fact]) -> Progress:
        """Return `progress` after this row's line, which stated `facts`."""
        detail = self.detail.format_map(facts)
        percent = facts.pop("percent", None)
        before = {name: fact for name, fact in progress.facts.items() if not self.new_run or name in _ahead()}
        known = {**before, **facts}
        if self.phase is None or (not self.new_run and _ORDER[self.phase] < _ORDER[progress.phase]):
            return replace(progress, facts=known)
        return Progress(self.phase, detail, percent if isinstance(percent, int) else None, known)


_TAG = re.compile(r"^\s*(?:\[[a-z]\w*\] )?")
_ORDER = {phase: place for place, phase in enumerate(Phase)}
_KINDS: Mapping[str, Callable[[str], Fact]] = {
    "whole": lambda digits: int(digits.replace(",", "")),
    "number": float,
    "text": str,
}


@cache
def _rules() -> tuple[_Rule, ...]:
    from importlib import resources

    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = resources.files(__package__).joinpath("phases.yaml").read_text(encoding="utf-8")
    return tuple(
        _Rule(
            starts=tuple(row["starts"]),
            like=re.compile(row["like"]) if "like" in row else None,
            facts=row.get("facts", {}),
            phase=Phase(row["phase"]) if "phase" in row else None,
            detail=row.get("detail", ""),
            new_run=row.get("new_run", False),
            ahead=row.get("ahead", False),
        )
        for row in yaml.load(text, Loader=loader)  # noqa: S506 - both are safe loaders
    )


@cache
def _beginnings() -> tuple[str, ...]:
    return tuple(text for rule in _rules() for text in rule.starts)


@cache
def _ahead() -> frozenset[str]:
    """The facts that are kept when a run begins: they were stated ahead of its first line, or by an earlier run.

    That does not matter: both runs are of one container, with the same files.
    """
    return frozenset(name for rule in _rules() if rule.ahead for name in rule.facts)
