"""A deployment of the rehearsal engine, handled as its user does: by the command line, in a real Docker Engine."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from docker.errors import NotFound

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from docker import DockerClient
    from support.cli import Cli, Outcome

QUICK = {"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "0.1", "STEPAUDIO_REHEARSAL_TOKEN_SECONDS": "0.001"}
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """`up(...)` adds the engine, the name and the port; `docker` is for looking."""

    cli: Cli
    docker: DockerClient
    name: str
    port: int
    state: Path
    engine: tuple[str, ...] = ("--engine", "rehearsal")

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def arguments(self, *more: str | Path) -> tuple[str | Path, ...]:
        return ("up", *self.engine, "--name", self.name, "--port", str(self.port), *more)

    def up(self, *more: str | Path, env: Mapping[str, str] | None = None, fail: str = "") -> Outcome:
        return self.cli(*self.arguments(*more), env=_environment(env, fail))

    def start(self, *more: str | Path, env: Mapping[str, str] | None = None, fail: str = "") -> subprocess.Popen[str]:
        """`up`, left running."""
        return self.cli.start(*self.arguments(*more), env=_environment(env, fail))

    def status(self) -> dict[str, Any]:
        (seen,) = self.cli("status", self.name, "--json").json["deployments"]
        return dict(seen)

    def phase(self) -> str:
        """The phase that `status` tells; `absent` where there is no deployment."""
        seen = self.cli("status", self.name, "--json")
        return "absent" if seen.code == 6 else str(seen.json["deployments"][0]["phase"])

    def inspect(self) -> dict[str, Any] | None:
        """What the engine says of the container; None where there is none."""
        try:
            return dict(self.docker.api.inspect_container(self.name))
        except NotFound:
            return None

    @property
    def container(self) -> dict[str, Any]:
        seen = self.inspect()
        assert seen is not None, f"there is no container {self.name}"
        return seen

    def files(self) -> list[Path]:
        """What the state folder holds for deployments."""
        return [path for path in self.state.rglob("*") if path.is_file()]

    def leaves_nothing(self) -> bool:
        """Neither a container of this name nor a file of a deployment."""
        return self.inspect() is None and self.files() == []

    def on(self, docker: DockerClient, host: str) -> Rehearsed:
        """The same in another engine, which the command line is told by DOCKER_HOST."""
        cli = replace(self.cli, environment={**self.cli.environment, "DOCKER_HOST": host})
        return replace(self, docker=docker, cli=cli)


def eventually(holds: Callable[[], Any], what: str = "it to happen") -> Any:
    """Wait until `holds()` is true, and return what it said."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if said := holds():
            return said
        time.sleep(0.02)
    raise AssertionError(f"waited {PATIENCE:g} s for {what}")


def _environment(more: Mapping[str, str] | None, fail: str) -> dict[str, str]:
    return {**QUICK, **({"STEPAUDIO_REHEARSAL_FAIL": fail} if fail else {}), **(more or {})}
