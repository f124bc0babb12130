"""What a running engine takes and has to do: KV cache as predicted and as measured, its GPUs, its requests.

The truth is in the engine: the prediction is the deployment's own label, the measurement the engine's own log.
"""

from __future__ import annotations

import http.client
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..facts.gpu import Gpu
    from ..runtime.deployment import Deployment, Runtime
    from ..startup.phases import Fact

START_LINES = 20_000
"""Far more than an engine says until it serves: vLLM 0.32 says some hundreds."""
METRICS_SECONDS = 0.5
NVML_SECONDS = 2.0
"""A driver whose cards sleep takes about a second to wake one; those of a running engine are awake."""
RUNNING, WAITING = "vllm:num_requests_running", "vllm:num_requests_waiting"


@dataclass(frozen=True, slots=True)
class Measured:
    """What the engine said of its KV cache when it started; GiB on one GPU."""

    kv_tokens: int
    kv_cache_gib: float | None
    concurrency: float | None


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory plan of a deployment beside what came of it; `measured` is None until the engine has said so."""

    predicted: Mapping[str, Any]
    measured: Measured | None

    @property
    def error_percent(self) -> float | None:
        """By how much the predicted KV tokens are off those measured: positive where too many were predicted."""
        predicted = self.predicted.get("kv_tokens")
        if self.measured is None or not isinstance(predicted, int) or not self.measured.kv_tokens:
            return None
        return round((predicted / self.measured.kv_tokens - 1) * 100, 1)

    def to_json(self) -> dict[str, Any]:
        """The object `memory` of a deployment."""
        return {
            "predicted": dict(self.predicted) or None,
            "measured": asdict(self.measured) if self.measured else None,
            "error_percent": self.error_percent,
        }


@dataclass(frozen=True, slots=True)
class Requests:
    """How many requests the engine works on, and how many wait."""

    running: int
    waiting: int


def memory_of(runtime: Runtime, deployment: Deployment) -> Memory | None:
    """Predicted and measured KV cache of a vLLM that was started; its log is read as far as that line only."""
    if deployment.engine != "vllm" or deployment.state == "created":
        return None
    return memory_in(deployment, start_facts(runtime, deployment))


def memory_in(deployment: Deployment, facts: Mapping[str, Fact]) -> Memory:
    """Predicted KV cache beside what the facts of the start say of it."""
    return Memory(deployment.memory, _cache(facts))


def start_facts(runtime: Runtime, deployment: Deployment) -> Mapping[str, Fact]:
    """What the engine reported when it started: its log is read as far as the KV cache's size only."""
    from ..startup.phases import INITIAL, Phase, advance
    from ..startup.watch import lines_of

    since = deployment.started_at if deployment.runtime == "docker" else None
    progress = INITIAL
    with closing(runtime.logs(deployment, since=since)) as pieces:
        for line in islice(lines_of(pieces), START_LINES):
            progress = advance(progress, line)
            if "concurrency" in progress.facts or progress.phase in {Phase.CAPTURING, Phase.SERVING, Phase.READY}:
                break
    return progress.facts


def _cache(facts: Mapping[str, Fact]) -> Measured | None:
    tokens = facts.get("kv_tokens")
    if not isinstance(tokens, int):
        return None
    gib, concurrency = facts.get("kv_gib"), facts.get("concurrency")
    return Measured(
        tokens,
        float(gib) if gib is not None else None,
        float(concurrency) if concurrency is not None else None,
    )


def gpus_of(deployment: Deployment) -> tuple[Gpu, ...]:
    """The GPUs that a deployment may use, of those that NVML shows here; it is not asked where none is used.

    A driver that gives no answer in time shows none: the rest of the status is not to wait for it.
    """
    request = deployment.plan.get("gpus", {"driver": "nvidia"})  # what was rendered for compose does not tell
    if request["driver"] == "none":
        return ()
    from ..facts.gpu import driver_hangs
    from ..facts.looking import Look
    from ..facts.nvml import look_at_gpus

    seen = Look(look_at_gpus, seconds=NVML_SECONDS).answer(driver_hangs)
    ids = request.get("ids") or ()
    return tuple(gpu for gpu in seen.found if not ids or str(gpu.index) in ids or gpu.uuid in ids)


def requests_of(endpoint: str) -> Requests | None:
    """What /metrics says; None where it does not answer this caller."""
    parts = urlsplit(endpoint)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=METRICS_SECONDS)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace") if answer.status == 200 else ""
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    running, waiting = _sum(text, RUNNING), _sum(text, WAITING)
    return None if running is None or waiting is None else Requests(running, waiting)


def _sum(text: str, metric: str) -> int | None:
    """A gauge over all its labels; None where there is none of that name."""
    values = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith((f"{metric}{{", f"{metric} "))]
    try:
        return round(sum(map(float, values))) if values else None
    except ValueError:
        return None
