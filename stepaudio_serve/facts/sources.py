"""Our own modules as texts, for those that run inside the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.abc import Traversable

KINDS = (".py", ".json", ".html")


def sources(folder: Traversable, place: str) -> Iterator[tuple[str, str]]:
    """Every module and data file below a folder, with its path below `place`, in a fixed order."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from sources(item, f"{place}/{item.name}")
        elif item.name.endswith(KINDS):
            yield f"{place}/{item.name}", item.read_text("utf-8")
