"""Recording from the microphone with a level meter, until Enter or for some seconds."""

from __future__ import annotations

import math
import os
import select
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import RefusedError, SettingsError
from .output import colour, duration, notice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..client.microphone import Take
    from ..client.recording import Recording
    from ..client.sound import Sound

NAME = "microphone"
LOWEST_DB = -60
METER_CELLS = 30
LOUD_DB = -3
"""Peaks above it are about to be clipped."""


def listen(seconds: float | None = None) -> Recording:
    """Record as `take` does, for a conversation."""
    from ..client.sound import recorded

    return recorded([take(seconds).samples], name=NAME)


def listen_for_sound(seconds: float | None = None) -> Sound:
    """Record as `take` does, as if it were a file."""
    import io

    from ..audio.wav import wav_bytes
    from ..client.sound import kept

    return kept(io.BytesIO(wav_bytes(take(seconds).samples)), NAME)


def take(seconds: float | None = None) -> Take:
    """Record for `seconds`, or until Enter; the meter goes to stderr.

    Raises:
        SettingsError: nobody can press Enter, and no length is given. RefusedError: there is no usable microphone,
        or nothing was recorded.
        KeyboardInterrupt: Ctrl-C; what was recorded is dropped.
    """
    from ..client.microphone import LONGEST_SECONDS, record

    if seconds is None and not sys.stdin.isatty():
        raise SettingsError("how long to record must be said here", why="no terminal, so nobody can press Enter")
    if seconds is not None and seconds > LONGEST_SECONDS:
        raise SettingsError(f"{seconds:g} s is too long", why=f"the microphone records up to {LONGEST_SECONDS} s")
    until = f"for {seconds:g} s" if seconds else f"up to {duration(LONGEST_SECONDS)}"
    with _enter() as pressed, _meter(until) as show:
        taken = record(seconds or LONGEST_SECONDS, stopped=pressed, on_level=show)
    if not len(taken.samples):
        raise RefusedError("nothing was recorded", why="it was stopped at once", fix="record again, a little longer")
    if taken.silent:
        notice("the recording is silent: the microphone may be muted, or another one is meant", level="warning")
    if taken.gaps:
        notice("the machine was too busy: some sound was lost", level="warning")
    return taken


@contextmanager
def _enter() -> Iterator[Callable[[], bool]]:
    """Whether Enter was pressed since; nothing that is typed meanwhile is shown."""
    if not sys.stdin.isatty():
        yield lambda: False
        return
    import termios
    import tty

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)

    def pressed() -> bool:
        ready, _, _ = select.select([keyboard], [], [], 0)
        return bool(ready) and any(key in b"\r\n" for key in os.read(keyboard, 1024))

    tty.setcbreak(keyboard)
    try:
        yield pressed
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


@contextmanager
def _meter(until: str) -> Iterator[Callable[[float, float], None]]:
    """What shows time and level as they come; without a terminal, one line that it begins."""
    ends = "Enter stops" if sys.stdin.isatty() else ""
    if not colour(sys.stderr):
        notice(", ".join(filter(None, (f"recording {until}", ends))))
        yield lambda _seconds, _peak: None
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(stderr=True), refresh_per_second=20, transient=True) as live:

        def show(seconds: float, peak: float) -> None:
            filled, style = level(peak)
            bar = Text("█" * filled, style) + Text("░" * (METER_CELLS - filled), "dim")
            live.update(Text(f"● {duration(seconds):>13} ", "red") + bar + Text(f"  {ends}, Ctrl-C drops it", "dim"))

        show(0, 0)
        yield show


def level(peak: float) -> tuple[int, str]:
    """How many cells of the meter a peak (0 to 1) fills, in decibels, and in which colour."""
    decibels = 20 * math.log10(peak) if peak > 0 else LOWEST_DB
    filled = round(METER_CELLS * min(max(1 - decibels / LOWEST_DB, 0), 1))
    return filled, "red" if decibels > LOUD_DB else "green"
