"""The real parts that tests run against, and which of them a run had.

A part that is missing skips the tests that need it, with the reason. A part named in STEPAUDIO_REQUIRE
(as in `docker,vllm,compose`) must be there: then its absence is a failure. Each part needs Docker.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMED = frozenset(filter(None, os.environ.get("STEPAUDIO_REQUIRE", "").split(",")))
REQUIRED = NAMED | {"docker"} if NAMED else NAMED


@dataclass
class Parts:
    """What was found (part -> version) and what was missing (part -> reason) in this run."""

    found: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def have(self, part: str, version: str) -> None:
        self.found[part] = version

    def lack(self, part: str, reason: str) -> NoReturn:
        self.missing[part] = reason
        if part in REQUIRED:
            pytest.fail(f"{part} is required here: {reason}", pytrace=False)
        pytest.skip(f"needs {part}: {reason}")

    def lines(self, tests: Mapping[str, int]) -> list[str]:
        """One line a part; `tests` counts those that ran with a part's mark."""
        count = {part: f", tests: {number}" for part, number in tests.items()}
        ran = [f"{part:12} {version}{count.get(part, '')}" for part, version in sorted(self.found.items())]
        absent = [f"{part:12} did not run: {reason}" for part, reason in sorted(self.missing.items())]
        return ran + absent
