"""The ways to fail, as values; what they print and when is data (`failures.yaml`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from . import data

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_CLIP_SECONDS = 29.98
"""479680 samples at 16 kHz: the longest clip that Step-Audio's encoder takes."""

When = Literal["start", "loading", "ready", "request"]
Behaviour = Literal["exit", "kill", "hang", "die", "unhealthy", "garbage", "slow", "refuse"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One way to fail; the fields are explained at the head of `failures.yaml`."""

    id: str
    help: str
    when: When
    behaviour: Behaviour
    step: str | None = None
    clip: Literal["long", "empty"] | None = None
    speaker: Literal["core", "server", "raw"] = "raw"
    lines: str = ""
    exit_code: int = 0
    status: int = 0

    def concerns(self, clip_seconds: tuple[float, ...]) -> bool:
        """Whether a request with clips of these lengths sets it off."""
        if self.when != "request":
            return False
        if self.clip == "long":
            return any(seconds > LONGEST_CLIP_SECONDS for seconds in clip_seconds)
        if self.clip == "empty":
            return any(seconds == 0 for seconds in clip_seconds)
        return True


@cache
def catalogue() -> Mapping[str, Failure]:
    """Every way to fail, by id."""
    return {entry["id"]: Failure(**entry) for entry in data.read("failures.yaml")["failures"]}


def wrapper(name: str) -> tuple[str, ...]:
    """The lines that vLLM prints around a cause, such as `core_starting`."""
    return tuple(data.read("failures.yaml")["wrappers"][name])
