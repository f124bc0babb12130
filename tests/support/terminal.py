"""A command at a terminal of its own: keys go in, what the screen was told comes out."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .cli import Cli

PATIENCE_SECONDS = 30
COLUMNS, ROWS = 80, 24
ENTER, ESCAPE, TAB, UP = "\r", "\x1b", "\t", "\x1b[A"
CTRL_C, CTRL_D = "\x03", "\x04"

_CONTROL = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[=>])|\r")


@dataclass
class Terminal:
    """`seen` is all text so far, without control sequences."""

    process: subprocess.Popen[bytes]
    keyboard: int
    seen: str = ""
    _raw: bytes = b""

    def type(self, *keys: str) -> None:
        """Press keys."""
        os.write(self.keyboard, "".join(keys).encode())

    def shows(self, text: str) -> str:
        """Wait until a text is shown, after what was waited for before; what was shown until then."""
        until = time.monotonic() + PATIENCE_SECONDS
        while text not in self.seen:
            if not self._read(until):
                raise AssertionError(f"{text!r} is not shown in:\n{self.seen}")
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def ends(self) -> int:
        """Wait until the command has ended; its exit code."""
        until = time.monotonic() + PATIENCE_SECONDS
        while self._read(until):
            pass
        return self.process.wait(PATIENCE_SECONDS)

    def echoes(self) -> bool:
        """Whether the terminal shows what is typed, as it did before the command."""
        return bool(termios.tcgetattr(self.keyboard)[3] & termios.ECHO)

    def _read(self, until: float) -> bool:
        ready, _, _ = select.select([self.keyboard], [], [], max(0, until - time.monotonic()))
        try:
            more = os.read(self.keyboard, 65536) if ready else b""
        except OSError:  # nobody holds the other side any more
            more = b""
        self._raw += more
        whole = self._raw.decode("utf-8", "ignore")
        if more:
            self._raw = b"" if whole.encode() == self._raw else self._raw
            self.seen += _CONTROL.sub("", whole) if not self._raw else ""
        return bool(more)


@contextmanager
def terminal(cli: Cli, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Terminal]:
    """Run a command of ours at a terminal of 80 columns."""
    keyboard, screen = pty.openpty()
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    own = {"TERM": "xterm", "COLUMNS": str(COLUMNS), "PROMPT_TOOLKIT_NO_CPR": "1", **(env or {})}
    process = subprocess.Popen(
        cli.argv(*arguments),
        cwd=cli.folder,
        env={**cli.environment, **own},
        stdin=screen,
        stdout=screen,
        stderr=screen,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - so that Ctrl-C is a signal
    )
    os.close(screen)
    try:
        yield Terminal(process, keyboard)
    finally:
        process.kill()
        process.wait()
        os.close(keyboard)
