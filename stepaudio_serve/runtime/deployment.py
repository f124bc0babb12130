"""A deployment as it was last seen, and what every runtime can do with one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..errors import NoSuchDeploymentError, StepAudioError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from ..plan.plan import Plan

STARTING_SECONDS = 15  # from creating to starting: far more than an engine takes
State = Literal["created", "running", "exited"]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A running or ended engine of ours. Times are seconds since the epoch.

    `id` is the container's id, or the process id; `handed_over` says that it answered as it should once (a
    restart policy is set; without one in its plan a container carries no mark); `plan` is the identity of the
    plan it was started from and `settings` what made that plan; `memory` is what was predicted then, empty where
    nothing could be.
    """

    name: str
    runtime: Literal["docker", "process"]
    engine: Literal["vllm", "rehearsal"]
    model: str
    endpoint: str
    plan_hash: str
    id: str
    state: State
    plan: Mapping[str, Any]
    settings: Mapping[str, Any]
    exit_code: int | None = None
    oom_killed: bool = False
    health: Literal["starting", "healthy", "unhealthy"] | None = None
    started_at: float | None = None
    handed_over: bool = False
    memory: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exit:
    """How an engine ended."""

    code: int
    oom_killed: bool = False


class NameTakenError(StepAudioError):
    """Something of that name appeared since we looked: a deployment of ours, to be found again."""

    code = "name-taken"


class ForeignError(NoSuchDeploymentError):
    """Something of that name exists and is not ours; it is never touched."""

    code = "not-ours"


def gone(deployment: Deployment) -> NoSuchDeploymentError:
    """The error that a deployment was removed since it was looked at."""
    return NoSuchDeploymentError(f"`{deployment.name}` was taken down meanwhile", fix="stepaudio-serve status")


def find_settled(runtime: Runtime, name: str) -> Deployment | None:
    """The deployment of that name, once whoever creates it has started it too.

    One that is still only created after `STARTING_SECONDS` was given up by its creator.
    """
    until = time.monotonic() + STARTING_SECONDS
    while (found := runtime.find(name)) is not None and found.state == "created" and time.monotonic() < until:
        time.sleep(0.05)
    return found


class Runtime(Protocol):
    """What carries a plan out. Every call may raise `RuntimeUnavailableError`."""

    def find(self, name: str) -> Deployment | None:
        """The deployment of that name, or None. Raises ForeignError."""
        ...

    def deployments(self) -> tuple[Deployment, ...]:
        """Every deployment of ours."""
        ...

    def create(self, plan: Plan) -> Deployment:
        """Make the deployment without starting it. Raises NameTakenError, RefusedError."""
        ...

    def start(self, deployment: Deployment) -> Deployment:
        """Start it. Raises RefusedError where the engine is refused before it ran."""
        ...

    def hand_over(self, deployment: Deployment) -> str:
        """It is ready: from now on it is restarted as its plan says. What could not be done, in words, or nothing.

        Raises NoSuchDeploymentError where it was removed meanwhile.
        """
        ...

    def stop(self, deployment: Deployment, grace: int) -> None:
        """Stop it; what is in flight has `grace` seconds."""
        ...

    def remove(self, deployment: Deployment) -> None:
        """Remove it with its logs, killing it if it runs."""
        ...

    def logs(
        self, deployment: Deployment, *, follow: bool = False, tail: int | None = None, since: float | None = None
    ) -> Generator[bytes, None, None]:
        """Pieces of the log as they come, not split at lines. `since` in seconds since the epoch.

        Raises NoSuchDeploymentError where it was removed meanwhile.
        """
        ...

    def wait(self, deployment: Deployment) -> Exit:
        """Block until it has ended."""
        ...
