"""vLLM's log: its lines on standard output, tqdm's progress bars on standard error."""

from __future__ import annotations

import os
import sys
from datetime import datetime

BAR_CELLS = 10


def say(process: str, level: str, source: str, text: str) -> None:
    """Print `text` with vLLM's prefix, once a line: `(APIServer pid=1) INFO 11-23 06:20:51 [a.py:1] text`."""
    now = datetime.now().astimezone()
    for line in text.splitlines() or [""]:
        sys.stdout.write(f"{named(process)} {level} {now:%m-%d %H:%M:%S} [{source}] {line}\n")
    sys.stdout.flush()


def say_plain(text: str, process: str | None = None) -> None:
    """Print what does not pass through vLLM's logger, such as the traceback that ends a process."""
    prefix = f"{named(process)} " if process else ""
    for line in text.splitlines():
        sys.stderr.write(f"{prefix}{line}\n")
    sys.stderr.flush()


def named(process: str) -> str:
    """`(EngineCore_0 pid=8)`: the engine core is not a process here, so its id is invented."""
    return f"({process} pid={os.getpid() + (process != 'APIServer')})"


def draw_bar(title: str, done: int, total: int, seconds: float) -> None:
    """Draw a progress bar over the one before it, as tqdm does."""
    rate = done / seconds if done and seconds else 0.0
    left = _clock((total - done) / rate) if rate else "?"
    speed = f"{rate:5.2f}it/s" if rate else "?it/s"
    cells = ("█" * (BAR_CELLS * done // total)).ljust(BAR_CELLS)
    middle = " Completed | " if title.startswith("Loading safetensors") else f"|{cells}| "
    line = f"\r{title}: {100 * done // total:3d}%{middle}{done}/{total} [{_clock(seconds)}<{left}, {speed}]"
    sys.stderr.write(line + ("\n" if done == total else ""))
    sys.stderr.flush()


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
