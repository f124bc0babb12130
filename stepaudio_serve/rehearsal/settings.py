"""How the rehearsal goes: its timings and its failure, from `STEPAUDIO_REHEARSAL_*`."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ..errors import SettingsError
from .failures import Failure, catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "STEPAUDIO_REHEARSAL_"


@dataclass(frozen=True, slots=True)
class RehearsalSettings:
    """Timings in seconds; `failure` is what shall go wrong, or None."""

    load_seconds: float = 1.5
    token_seconds: float = 0.01
    thinking_words: int = 0
    failure: Failure | None = None
    fail_seconds: float = 1.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> RehearsalSettings:
        """Raise SettingsError for an unknown variable, a number that is none, or an unknown failure."""
        known = {"LOAD_SECONDS", "TOKEN_SECONDS", "THINKING_WORDS", "FAIL", "FAIL_SECONDS"}
        given = {name.removeprefix(PREFIX): name for name in environment if name.startswith(PREFIX)}
        for unknown in sorted(given.keys() - known):
            raise SettingsError(
                f"unknown variable {given[unknown]}",
                fix="known: " + ", ".join(PREFIX + name for name in sorted(known)),
            )
        usual = cls()
        return cls(
            load_seconds=_number(environment, "LOAD_SECONDS", usual.load_seconds),
            token_seconds=_number(environment, "TOKEN_SECONDS", usual.token_seconds),
            thinking_words=int(_number(environment, "THINKING_WORDS", usual.thinking_words)),
            failure=_failure(environment.get(PREFIX + "FAIL", "")),
            fail_seconds=_number(environment, "FAIL_SECONDS", usual.fail_seconds),
        )


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(PREFIX + name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 86_400:
        raise SettingsError(f"{PREFIX}{name} is {text!r}", fix="give a number from 0 up, such as 1.5")
    return value


def _failure(name: str) -> Failure | None:
    if not name:
        return None
    ways = catalogue()
    if name not in ways:
        near = get_close_matches(name, ways, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise SettingsError(f"{PREFIX}FAIL is {name!r}, which is no way to fail", fix=f"{hint}known: {', '.join(ways)}")
    return ways[name]
