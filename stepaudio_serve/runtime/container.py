"""Between a plan and Docker's words: the container's configuration, and a deployment read from `inspect`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..plan.labels import LABEL_PREFIX
from .deployment import Deployment, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docker import APIClient

    from ..plan.plan import GpuRequest, Plan

NANOSECONDS = 1_000_000_000


def container_config(api: APIClient, plan: Plan) -> dict[str, Any]:
    """The body of Docker's create call. The restart policy is set later, at the hand-off."""
    from docker.types import Healthcheck, LogConfig, Mount

    shape = plan.container
    host_config = api.create_host_config(
        mounts=[
            Mount(target=mount.target, source=mount.source, type=mount.kind, read_only=mount.read_only)
            for mount in plan.mounts
        ],
        port_bindings={port.container_port: (port.host_ip, port.host_port) for port in plan.ports},
        device_requests=device_requests(plan.gpus),
        cap_drop=list(shape.cap_drop) or None,
        cap_add=list(shape.cap_add) or None,
        security_opt=list(shape.security_opt) or None,
        shm_size=shape.shm_size_mib * 2**20 if shape.shm_size_mib else None,
        log_config=LogConfig(type=shape.log_driver, config=dict(shape.log_options)) if shape.log_driver else None,
        restart_policy={"Name": "no"},
    )
    check = shape.health_check
    return dict(
        api.create_container_config(
            image=plan.image,
            entrypoint=list(plan.entrypoint) or None,
            command=list(plan.command),
            environment=dict(plan.environment),
            labels=dict(plan.labels),
            ports=[port.container_port for port in plan.ports],
            host_config=host_config,
            stop_timeout=plan.stop_grace,
            healthcheck=Healthcheck(
                test=list(check.test),
                interval=check.interval * NANOSECONDS,
                timeout=check.timeout * NANOSECONDS,
                retries=check.retries,
                start_period=check.start_period * NANOSECONDS,
            )
            if check
            else None,
        )
    )


def device_requests(gpus: GpuRequest) -> list[Any] | None:
    """The GPU request in Docker's words, None for no GPU."""
    from docker.types import DeviceRequest

    if gpus.driver == "none":
        return None
    if gpus.driver == "cdi":
        return [DeviceRequest(driver="cdi", device_ids=list(gpus.cdi_devices))]
    if gpus.ids:
        return [DeviceRequest(device_ids=list(gpus.ids), capabilities=[["gpu"]])]
    return [DeviceRequest(count=-1, capabilities=[["gpu"]])]


def is_ours(attributes: Mapping[str, Any]) -> bool:
    """Whether a container carries our label."""
    return LABEL_PREFIX + "deployment" in (attributes["Config"].get("Labels") or {})


def deployment_of(attributes: Mapping[str, Any]) -> Deployment:
    """Read a deployment back from what `inspect` says of its container."""
    labels = {
        key.removeprefix(LABEL_PREFIX): value
        for key, value in attributes["Config"]["Labels"].items()
        if key.startswith(LABEL_PREFIX)
    }
    state = attributes["State"]
    return Deployment(
        name=labels["deployment"],
        runtime="docker",
        engine="rehearsal" if labels["engine"] == "rehearsal" else "vllm",
        model=labels["model"],
        endpoint=labels["endpoint"],
        plan_hash=labels["plan-hash"],
        id=attributes["Id"],
        state=_state(state["Status"]),
        plan=json.loads(labels["plan"]),
        settings=json.loads(labels["settings"]),
        memory=json.loads(labels.get("memory", "{}")),
        exit_code=int(state["ExitCode"]) if state["Status"] in {"exited", "dead"} else None,
        oom_killed=bool(state.get("OOMKilled")),
        health=(state.get("Health") or {}).get("Status") or None,
        started_at=_seconds(state.get("StartedAt")),
        handed_over=(attributes["HostConfig"].get("RestartPolicy") or {}).get("Name", "no") not in {"", "no"},
    )


def _state(status: str) -> State:
    if status in {"running", "paused", "restarting", "stopping"}:
        return "running"
    return "created" if status in {"created", "configured", "initialized"} else "exited"


def _seconds(stamp: str | None) -> float | None:
    """Docker's nanosecond stamps, which `fromisoformat` does not read before Python 3.11."""
    if not stamp or stamp.startswith("0001-"):
        return None
    whole, _, rest = stamp.partition(".")
    zone = rest.lstrip("0123456789") or ("" if whole.endswith("Z") else "+00:00")
    return datetime.fromisoformat((whole.rstrip("Z") + zone).replace("Z", "+00:00")).timestamp()
