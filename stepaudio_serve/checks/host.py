"""The machine itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..finding import Finding
from .amounts import gibibytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..facts.gather import Facts


def check_host(facts: Facts) -> Iterator[Finding]:
    """What machine it is, and that it is not this one where facts of another were given."""
    host = facts.host
    words = [facts.architecture]
    if host.memory_total_mib is not None:
        free = f" ({gibibytes(host.memory_available_mib)} free)" if host.memory_available_mib is not None else ""
        words.append(f"{gibibytes(host.memory_total_mib)} of memory{free}")
    yield Finding("host", "host", "ok", ", ".join(words))
    if facts.elsewhere:
        yield Finding(
            "elsewhere",
            "host",
            "note",
            f"these are the facts of {facts.elsewhere}, not of this machine",
            "port, key file and free space are looked at on the machine itself only",
        )
