"""The plan as a compose project: compose.yaml, .env.example, and the files that the engine reads beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..plan.plan import Mount, Plan

FILES_FOLDER = "engine"
KEY_FILE = "api_key"
HEADER = """\
# {name}: {model} behind an OpenAI-compatible endpoint on {endpoint}
# Written by `stepaudio-serve render compose`; values that differ from machine to machine are in .env.
#
#   cp .env.example .env      set STEPAUDIO_MODEL_DIR to the checkpoint folder
#   docker compose up -d --wait
#   docker compose down
"""


def compose_files(plan: Plan) -> dict[str, str]:
    """The project's files by their path in it, compose.yaml first."""
    import yaml

    body = yaml.safe_dump(compose_document(plan), sort_keys=False, allow_unicode=True, width=1000)
    header = HEADER.format(name=plan.name, model=plan.served_model_name, endpoint=plan.endpoint)
    files = {"compose.yaml": f"{header}\n{body}", ".env.example": _environment_file(plan)}
    return files | {f"{FILES_FOLDER}/{path}": text for path, text in plan.files.items()}


def compose_document(plan: Plan) -> dict[str, Any]:
    """What compose.yaml says."""
    shape, check = plan.container, plan.container.health_check
    port = plan.ports[0]
    address = f"${{STEPAUDIO_HOST:-{_bracketed(port.host_ip or '127.0.0.1')}}}"
    service: dict[str, Any] = {
        "image": f"${{STEPAUDIO_IMAGE:-{plan.image}}}",
        "container_name": f"${{STEPAUDIO_NAME:-{plan.name}}}",
        "entrypoint": list(plan.entrypoint),
        "command": [_escaped(word) for word in plan.command],
        "ports": [f"{address}:${{STEPAUDIO_PORT:-{port.host_port}}}:{port.container_port}"],
        "volumes": [_volume(mount, plan) for mount in plan.mounts],
        "environment": {key: _escaped(value) for key, value in plan.environment.items()},
        "shm_size": f"{shape.shm_size_mib}m" if shape.shm_size_mib else None,
        "cap_drop": list(shape.cap_drop),
        "cap_add": list(shape.cap_add),
        "security_opt": list(shape.security_opt),
        "healthcheck": {
            "test": [_escaped(word) for word in check.test],
            "interval": f"{check.interval}s",
            "timeout": f"{check.timeout}s",
            "retries": check.retries,
            "start_period": f"{check.start_period}s",
        }
        if check
        else None,
        "restart": shape.restart,
        "stop_grace_period": f"{plan.stop_grace}s",
        "logging": {"driver": shape.log_driver, "options": dict(shape.log_options)} if shape.log_driver else None,
        "deploy": _reservation(plan),
    }
    named = [mount.source for mount in plan.mounts if mount.kind == "volume"]
    document: dict[str, Any] = {"services": {"engine": {key: value for key, value in service.items() if value}}}
    if named:
        document["volumes"] = {name: {"name": name} for name in named}
    return document


def _volume(mount: Mount, plan: Plan) -> dict[str, Any]:
    if mount.kind == "volume":
        return {"type": "volume", "source": mount.source, "target": mount.target}
    if mount.source == plan.files_source:
        source = f"./{FILES_FOLDER}"
    elif mount.source == plan.key_file:
        source = f"${{STEPAUDIO_API_KEY_FILE:-./{KEY_FILE}}}"
    else:
        source = "${STEPAUDIO_MODEL_DIR:?set STEPAUDIO_MODEL_DIR to the checkpoint folder, for example in .env}"
    return {
        "type": "bind",
        "source": source,
        "target": mount.target,
        "read_only": mount.read_only,
        "bind": {"create_host_path": False},
    }


def _reservation(plan: Plan) -> Mapping[str, Any] | None:
    if plan.gpus.driver == "none":
        return None
    if plan.gpus.driver == "cdi":
        device: dict[str, Any] = {"driver": "cdi", "device_ids": list(plan.gpus.cdi_devices)}
    elif plan.gpus.ids:
        device = {"driver": "nvidia", "device_ids": list(plan.gpus.ids)}
    else:
        device = {"driver": "nvidia", "count": "all"}
    return {"resources": {"reservations": {"devices": [{**device, "capabilities": ["gpu"]}]}}}


def _environment_file(plan: Plan) -> str:
    port = plan.ports[0]
    key = [mount for mount in plan.mounts if mount.source == plan.key_file]
    return "\n".join(
        [
            "# Copy to .env and edit.",
            "# The checkpoint folder on this machine (required):",
            "STEPAUDIO_MODEL_DIR=/models/Step-Audio-R1-nvfp4",
            "",
            "# The rest has defaults:",
            f"#STEPAUDIO_IMAGE={plan.image}",
            f"#STEPAUDIO_NAME={plan.name}",
            f"#STEPAUDIO_HOST={_bracketed(port.host_ip or '127.0.0.1')}",
            f"#STEPAUDIO_PORT={port.host_port}",
            *([f"#STEPAUDIO_API_KEY_FILE=./{KEY_FILE}"] if key else []),
            "",
        ]
    )


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _escaped(text: str) -> str:
    return text.replace("$", "$$")
