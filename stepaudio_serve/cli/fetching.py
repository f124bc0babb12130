"""How a download looks: rate and time left, the layers of an image, and the question before it."""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from .output import duration, paint, size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console
    from rich.progress import TaskID

    from ..lifecycle.fetch import Missing

RATE_SECONDS = 10.0
"""Over how long the rate is averaged."""


class Rate:
    """Bytes a second lately, from the amounts that were there at times."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, have: int) -> None:
        """So many bytes are there now."""
        now = time.monotonic()
        self._seen.append((now, have))
        while len(self._seen) > 2 and now - self._seen[0][0] > RATE_SECONDS:
            self._seen.popleft()

    def in_words(self, have: int, total: int) -> str:
        """Amount, rate, and the time that the rest takes at this rate."""
        amount = f"{size(have)} of {size(total)}"
        (began, first), (now, last) = self._seen[0], self._seen[-1]
        if now <= began or last <= first:
            return amount
        rate = (last - first) / (now - began)
        return f"{amount}, {size(rate)}/s, {duration((total - have) / rate)} left"


class LayerBars:
    """A line for each layer on a terminal: what happens to it, and how much of it is there."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        self._progress = Progress(
            TextColumn("{task.fields[layer]}"),
            TextColumn("{task.description:<18}"),
            BarColumn(20),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._progress.start()

    def show(self, event: Mapping[str, Any]) -> None:
        """Take one event of the engine's."""
        layer, status = str(event.get("id") or ""), str(event.get("status") or "")
        detail = event.get("progressDetail") or {}
        if len(layer) != 12:  # a tag or a digest line
            return
        if layer not in self._tasks:
            self._tasks[layer] = self._progress.add_task(status, total=None, layer=layer)
        task = self._tasks[layer]
        if detail.get("total"):
            self._progress.update(task, description=status, completed=detail.get("current", 0), total=detail["total"])
        else:
            self._progress.update(task, description=status)

    def close(self) -> None:
        """Leave the lines as they are."""
        self._progress.stop()


def layers_in_words(layers: dict[str, tuple[int, int]], event: Mapping[str, Any]) -> str:
    """The layers seen so far, summed up; `layers` keeps them by id."""
    detail = event.get("progressDetail") or {}
    if event.get("id") and detail.get("total"):
        layers[event["id"]] = (int(detail.get("current", 0)), int(detail["total"]))
    have, total = sum(now for now, _ in layers.values()), sum(whole for _, whole in layers.values())
    return f": {size(have)} of {size(total)} seen so far" if total else ""


def missing_in_words(missing: Missing) -> list[str]:
    """A line for each thing that is to come: how much, and where to."""
    lines = []
    if (checkpoint := missing.checkpoint) is not None:
        kept = f" ({size(checkpoint.have)} are here)" if checkpoint.have else ""
        lines.append(
            f"checkpoint {checkpoint.listing.repository}, {size(checkpoint.missing)}{kept}, to {checkpoint.place.disk}"
        )
    if (image := missing.image) is not None:
        lines.append(image.in_words())
    return lines


def ask_whether() -> bool:
    """Ask on the terminal; Enter is yes."""
    sys.stderr.write(f"{paint('Go on?', 'bold', sys.stderr)} [Y/n] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"", "y", "yes"}
