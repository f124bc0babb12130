"""The plan as a compose project: compose.yaml, .env.example, and the files that the engine reads beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..plan.plan import bracketed
from .compose_labels import MODEL_DIR, compose_labels, escaped, is_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..plan.plan import Mount, Plan

FILES_FOLDER = "engine"
HEADER = """\
# {name}: {model} behind an OpenAI-compatible endpoint on {endpoint}
# Written by `stepaudio-serve render compose`; values that differ from machine to machine are in .env.
#
#   cp .env.example .env{edit}
#   docker compose up -d --wait
#   docker compose down
"""


def compose_files(plan: Plan, model_dir: str | None = None) -> dict[str, str]:
    """The project's files by their path in it, compose.yaml first.

    `model_dir` is the folder to mount for the checkpoint where it is on this machine; else .env must name one.
    """
    import yaml

    body = yaml.safe_dump(compose_document(plan, model_dir), sort_keys=False, allow_unicode=True, width=1000)
    required = _has_model(plan) and model_dir is None
    edit = "      set STEPAUDIO_MODEL_DIR to the checkpoint folder" if required else ""
    header = HEADER.format(name=plan.name, model=plan.served_model_name, endpoint=plan.endpoint, edit=edit)
    files = {"compose.yaml": f"{header}\n{body}", ".env.example": _environment_file(plan, model_dir)}
    return files | {f"{FILES_FOLDER}/{path}": text for path, text in plan.files.items()}


def compose_document(plan: Plan, model_dir: str | None = None) -> dict[str, Any]:
    """What compose.yaml says."""
    shape, check = plan.container, plan.container.health_check
    variables = _variables(plan, model_dir)
    address, port, name = (variables[f"STEPAUDIO_{part}"] for part in ("HOST", "PORT", "NAME"))
    service: dict[str, Any] = {
        "image": variables["STEPAUDIO_IMAGE"],
        "container_name": name,
        "labels": compose_labels(plan, variables),
        "entrypoint": list(plan.entrypoint),
        "command": [escaped(word) for word in plan.command],
        "ports": [f"{address}:{port}:{plan.ports[0].container_port}"],
        "volumes": [_volume(mount, plan, variables) for mount in plan.mounts],
        "environment": {key: escaped(value) for key, value in plan.environment.items()},
        "shm_size": f"{shape.shm_size_mib}m" if shape.shm_size_mib else None,
        "cap_drop": list(shape.cap_drop),
        "cap_add": list(shape.cap_add),
        "security_opt": list(shape.security_opt),
        "healthcheck": {
            "test": [escaped(word) for word in check.test],
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


def _variables(plan: Plan, model_dir: str | None) -> dict[str, str]:
    """What differs from machine to machine, as compose fills it in: from .env, else a default, else an error."""
    port = plan.ports[0]
    defaults = {
        "IMAGE": plan.image,
        "NAME": plan.name,
        "HOST": bracketed(port.host_ip or "127.0.0.1"),
        "PORT": str(port.host_port),
        **({"API_KEY_FILE": plan.key_file} if plan.key_file else {}),
        **({"MODEL_DIR": model_dir} if model_dir and _has_model(plan) else {}),
    }
    variables = {f"STEPAUDIO_{name}": f"${{STEPAUDIO_{name}:-{escaped(value)}}}" for name, value in defaults.items()}
    if _has_model(plan):
        variables.setdefault(
            MODEL_DIR, f"${{{MODEL_DIR}:?set {MODEL_DIR} to the checkpoint folder, for example in .env}}"
        )
    return variables


def _has_model(plan: Plan) -> bool:
    return any(is_model(mount, plan) for mount in plan.mounts)


def _volume(mount: Mount, plan: Plan, variables: Mapping[str, str]) -> dict[str, Any]:
    if mount.kind == "volume":
        return {"type": "volume", "source": mount.source, "target": mount.target}
    if mount.source == plan.files_source:
        source = f"./{FILES_FOLDER}"
    elif mount.source == plan.key_file:
        source = variables["STEPAUDIO_API_KEY_FILE"]
    else:
        source = variables[MODEL_DIR]
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


def _environment_file(plan: Plan, model_dir: str | None) -> str:
    defaults = {
        name: variable.partition(":-")[2].removesuffix("}").replace("$$", "$")
        for name, variable in _variables(plan, model_dir).items()
        if ":-" in variable
    }
    required = [
        "# The checkpoint folder on this machine (required):",
        f"{MODEL_DIR}=/models/Step-Audio-R1-nvfp4",
        "",
    ]
    return "\n".join(
        [
            "# Copy to .env and edit.",
            *(required if _has_model(plan) and model_dir is None else []),
            "# These have defaults:",
            *(f"#{name}={value}" for name, value in defaults.items()),
            "",
        ]
    )
