"""The plan: one frozen, JSON-serialisable value from which everything that starts an engine is derived."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from .labels import LABEL_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .memory import MemoryBudget


def bracketed(address: str) -> str:
    """An address as it stands before `:PORT`."""
    return f"[{address}]" if ":" in address else address


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder, file or named volume that the engine sees. `source` is a path, or a volume's name."""

    source: str
    target: str
    read_only: bool
    kind: Literal["bind", "volume"] = "bind"


@dataclass(frozen=True, slots=True)
class Port:
    """A published port. `host_ip` is empty where every interface is meant, as `-p 9999:9999` does."""

    host_ip: str
    host_port: int
    container_port: int


@dataclass(frozen=True, slots=True)
class GpuRequest:
    """Which GPUs the container gets, and how they are asked for. `ids` is empty for all of them."""

    driver: Literal["none", "nvidia", "cdi"]
    ids: tuple[str, ...] = ()

    @property
    def cdi_devices(self) -> tuple[str, ...]:
        """The CDI names of the devices."""
        return tuple(f"nvidia.com/gpu={name}" for name in self.ids or ("all",))


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The container's own health check; times in seconds."""

    test: tuple[str, ...]
    interval: int
    timeout: int
    retries: int
    start_period: int


@dataclass(frozen=True, slots=True)
class Container:
    """What only a container has."""

    health_check: HealthCheck | None
    restart: str
    cap_drop: tuple[str, ...]
    cap_add: tuple[str, ...]
    security_opt: tuple[str, ...]
    shm_size_mib: int | None
    log_driver: str | None
    log_options: Mapping[str, str]
    interactive: bool = False
    auto_remove: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """Worth knowing about the plan: what differs from the model card's command, or was assumed, and why."""

    id: str
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything needed to start one deployment.

    `files` are written below `files_source` before the start (path there -> text); `entrypoint` is empty
    where the image's own is kept; times in seconds.
    """

    name: str
    engine: Literal["vllm", "rehearsal"]
    runtime: Literal["docker", "process"]
    image: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    mounts: tuple[Mount, ...]
    environment: Mapping[str, str]
    ports: tuple[Port, ...]
    gpus: GpuRequest
    container: Container
    endpoint: str
    served_model_name: str
    stop_grace: int
    files_source: str
    files: Mapping[str, str]
    key_file: str | None
    memory: MemoryBudget
    notes: tuple[Note, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """Twelve hex digits that change whenever what is started changes."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()[:12]

    def identity(self) -> dict[str, Any]:
        """What makes two plans the same: all but labels, notes, the memory estimate and how long a start may take."""
        data = asdict(self)
        if data["container"]["health_check"]:
            del data["container"]["health_check"]["start_period"]
        for aside in ("labels", "notes", "memory"):
            del data[aside]
        data["files"] = {path: hashlib.sha256(text.encode()).hexdigest()[:12] for path, text in self.files.items()}
        return data

    def to_json(self) -> dict[str, Any]:
        """The document that `plan --json` prints."""
        data = asdict(self)
        data["entrypoint"] = list(self.entrypoint)
        data["files"] = {path: len(text.encode()) for path, text in self.files.items()}
        data["plan_hash"] = self.hash
        return data

    def labelled(self, settings: Mapping[str, Any]) -> Plan:
        """The plan with the labels by which the deployment is found and restarted later."""
        labels = {
            "deployment": self.name,
            "engine": self.engine,
            "model": self.served_model_name,
            "endpoint": self.endpoint,
            "plan-hash": self.hash,
            "plan": json.dumps(self.identity(), sort_keys=True, ensure_ascii=False),
            "settings": json.dumps(dict(settings), sort_keys=True, ensure_ascii=False),
        }
        if self.memory.kv_tokens is not None:
            labels["memory"] = json.dumps(asdict(self.memory), sort_keys=True)
        return replace(self, labels={LABEL_PREFIX + key: value for key, value in labels.items()})
