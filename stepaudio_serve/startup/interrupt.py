"""Interruption that never loses track of what was created."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruption_deferred() -> Iterator[None]:
    """Hold Ctrl-C and its kin back for the length of a short step, then let it through.

    Outside the main thread signals do not arrive, and nothing is done.

    Raises:
        KeyboardInterrupt: after the step, when a signal came during it, also where the step itself raised.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.signal(number, note) for number in _heard()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            raise KeyboardInterrupt


def _heard() -> tuple[signal.Signals, ...]:
    """All of them, but a hangup that nohup has switched off."""
    return tuple(number for number in SIGNALS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN)


@contextmanager
def signals_as_interrupt() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the work as Ctrl-C does, with the same cleaning up.

    Under nohup a closed terminal ends nothing.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _heard()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
