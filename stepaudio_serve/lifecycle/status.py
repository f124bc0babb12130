"""What a deployment is doing: read from the engine itself, so that any number of callers see the same."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from ..errors import RefusedError
from ..startup.probes import health, served_models
from .api_key import key_of
from .plugin import Plugin, expects_plugin, plugin_in, with_plugin_told
from .readings import START_LINES, Memory, Requests, gpus_of, memory_in, requests_of, start_facts

if TYPE_CHECKING:
    from ..diagnosis import Diagnosis
    from ..facts.gpu import Gpu
    from ..runtime.deployment import Deployment, Runtime
    from ..settings.options import Settings
    from ..startup.phases import Progress

TAIL_LINES = 2000
ASKED_TO_END = (0, 130, 137, 143)

Health = Literal["healthy", "unhealthy", "starting", "none"]


@dataclass(frozen=True, slots=True)
class Status:
    """One deployment as `status` shows it; `detail` words the phase, `uptime` in seconds.

    `memory` and `requests` are None where they were not asked for, or are not known; `gpus` are those it may use.
    `plugin` is None where it was not looked at, or the engine has none of ours.
    """

    deployment: Deployment
    phase: str
    detail: str
    health: Health
    uptime: float | None
    diagnosis: Diagnosis | None
    memory: Memory | None = None
    requests: Requests | None = None
    gpus: tuple[Gpu, ...] = ()
    plugin: Plugin | None = None

    def to_json(self) -> dict[str, Any]:
        """The deployment's object in JSON output."""
        it = self.deployment
        return {
            "name": it.name,
            "runtime": it.runtime,
            "engine": it.engine,
            "phase": self.phase,
            "health": self.health,
            "endpoint": it.endpoint,
            "model": it.model,
            "container_id": it.id if it.runtime == "docker" else None,
            "pid": int(it.id) if it.runtime == "process" and it.id else None,
            "uptime_s": None if self.uptime is None else round(self.uptime, 1),
            "plan_hash": it.plan_hash,
            "exit_code": it.exit_code,
            "detail": self.detail,
            "diagnosis": None if self.diagnosis is None else asdict(self.diagnosis),
            "memory": None if self.memory is None else self.memory.to_json(),
            "requests": None if self.requests is None else asdict(self.requests),
            "gpus": [_gpu(gpu) for gpu in self.gpus],
            "plugin": None if self.plugin is None else self.plugin.to_json(),
        }


def closely(runtime: Runtime, status: Status) -> Status:
    """The same with what a running engine takes and has to do, and whether our plugin is in it."""
    deployment = status.deployment
    if deployment.state != "running" or deployment.engine != "vllm":
        return status
    facts = start_facts(runtime, deployment)
    return replace(
        status,
        memory=memory_in(deployment, facts),
        plugin=plugin_in(deployment, facts),
        requests=requests_of(deployment.endpoint) if status.health == "healthy" else None,
        gpus=gpus_of(deployment),
    )


def with_plugin(runtime: Runtime, status: Status, settings: Settings) -> Status:
    """The same with what the log and `/v1/models` say of our plugin, where the deployment was given it."""
    deployment = status.deployment
    if not expects_plugin(deployment):
        return status
    plugin = plugin_in(deployment, start_facts(runtime, deployment))
    try:
        names = served_models(deployment.endpoint, api_key=key_of(settings, deployment))
    except RefusedError:  # nobody needed the key so far: it is no reason to refuse what runs
        names = None
    listed = None if names is None else deployment.model in names
    return replace(status, plugin=plugin and replace(plugin, listed=listed))


def _gpu(gpu: Gpu) -> dict[str, Any]:
    return {
        "index": gpu.index,
        "name": gpu.name,
        "memory_total_mib": gpu.memory_total_mib,
        "memory_free_mib": gpu.memory_free_mib,
        "temperature_c": gpu.temperature_c,
        "power_w": gpu.power_w,
    }


def status_of(runtime: Runtime, deployment: Deployment) -> Status:
    """Look at one deployment: its state, one probe of its endpoint, and its log where these do not tell."""
    if deployment.state == "exited":
        phase = "stopped" if deployment.exit_code in ASKED_TO_END and _was_ready(runtime, deployment) else "failed"
        found = _diagnosis(runtime, deployment)
        detail = found.cause if found else f"exit code {deployment.exit_code}"
        return Status(deployment, phase, detail, "none", None, found)
    uptime = time.time() - deployment.started_at if deployment.started_at else None
    if deployment.state == "created":
        return Status(deployment, "created", "not started yet", "none", None, None)
    answer = health(deployment.endpoint)
    if answer == "healthy":
        return Status(deployment, "ready", _not_handed_over(deployment), "healthy", uptime, None)
    progress = _progress(runtime, deployment)
    if progress is None or progress.phase == "ready":
        return Status(deployment, "ready", f"/health: {answer}", "unhealthy", uptime, _diagnosis(runtime, deployment))
    return Status(deployment, progress.phase.value, progress.detail, "starting", uptime, None)


def _not_handed_over(deployment: Deployment) -> str:
    """What is missing of a healthy one; a container whose plan has no restart policy carries no mark."""
    if deployment.handed_over or (deployment.runtime == "docker" and deployment.plan["container"]["restart"] == "no"):
        return ""
    if deployment.settings.get("canary") == "off":
        return f"not handed over yet: stepaudio-serve wait {deployment.name} does it"
    return (
        "not handed over: the spoken question was not answered as expected yet; "
        f"stepaudio-serve wait {deployment.name} asks it again"
    )


def log_lines(runtime: Runtime, deployment: Deployment, *, since: float | None = None) -> list[str]:
    """The end of a deployment's log; `since` in seconds since the epoch."""
    from ..startup.watch import lines_of

    return list(lines_of(runtime.logs(deployment, tail=TAIL_LINES, since=since)))


def _diagnosis(runtime: Runtime, deployment: Deployment) -> Diagnosis | None:
    from ..diagnosis import diagnose
    from .pasteable import named

    lines = log_lines(runtime, deployment)
    found = diagnose(lines, exit_code=deployment.exit_code, oom_killed=deployment.oom_killed)
    told = with_plugin_told(found, deployment, lines) if deployment.state == "exited" else found
    return named(told[0], deployment) if told else None


def _was_ready(runtime: Runtime, deployment: Deployment) -> bool:
    """Whether it was handed over; one without a restart policy is not marked, so that its log has to tell."""
    if deployment.handed_over:
        return True
    progress = _progress(runtime, deployment)
    return deployment.plan["container"]["restart"] == "no" and (progress is None or progress.phase == "ready")


def _progress(runtime: Runtime, deployment: Deployment) -> Progress | None:
    """How far this run of the engine has come; None when its log has long grown past its start."""
    from ..startup.phases import INITIAL, Phase, advance
    from ..startup.watch import lines_of

    since = deployment.started_at if deployment.runtime == "docker" else None
    progress, lines = INITIAL, 0
    with closing(runtime.logs(deployment, since=since)) as pieces:
        for line in islice(lines_of(pieces), START_LINES):
            progress, lines = advance(progress, line), lines + 1
            if progress.phase is Phase.READY:
                break
    return None if lines == START_LINES else progress
