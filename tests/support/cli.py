"""`python -m stepaudio_serve` as a user has it, away from this user's own settings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

STATE = {"HOME": "home", "XDG_CONFIG_HOME": "config", "XDG_CACHE_HOME": "cache", "XDG_STATE_HOME": "state"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The one document on standard output."""
        return json.loads(self.stdout)


@dataclass(frozen=True, slots=True)
class Cli:
    """Runs commands in `folder` (where `stepaudio.yaml` would be) with the isolated `environment`."""

    folder: Path
    environment: Mapping[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __call__(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout: float = 240,
    ) -> Outcome:
        done = subprocess.run(
            self.argv(*arguments),
            cwd=self.folder,
            env={**self.environment, **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a command and leave it running: for Ctrl-C, --attach, --watch. Leads its own process group."""
        process = subprocess.Popen(
            self.argv(*arguments),
            cwd=self.folder,
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def end(self) -> None:
        """Kill the started commands that still run, each with its process group."""
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in filter(None, (process.stdout, process.stderr)):
                stream.close()

    @staticmethod
    def argv(*arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "stepaudio_serve", *map(str, arguments)]


def isolated_environment(folder: Path) -> dict[str, str]:
    """This process' environment with homes below `folder` and none of the user's settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("STEPAUDIO_", "XDG_", "HF_"))}
    homes = {variable: folder / name for variable, name in STATE.items()}
    for home in homes.values():
        home.mkdir(exist_ok=True)
    return {**kept, **{k: str(v) for k, v in homes.items()}, "TERM": "dumb", "COLUMNS": "120"}
