"""A finding: what a check has to say about facts and a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "warning", "blocker"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result: `what` was seen, `why` it matters, `fix` is something to type (may be empty)."""

    id: str
    group: str
    level: Level
    what: str
    why: str = ""
    fix: str = ""
