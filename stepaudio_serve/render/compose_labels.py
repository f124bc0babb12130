"""The labels of a compose service: `status`, `ask`, `down` and `restart` know it by them, as `.env` made it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from ..plan.labels import LABEL_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..plan.plan import Mount, Plan

MODEL_DIR = "STEPAUDIO_MODEL_DIR"
FILLED = {"name": "NAME", "image": "IMAGE", "host": "HOST", "port": "PORT", "api_key_file": "API_KEY_FILE"}
"""Settings that `.env` may change, and its variables without their prefix."""


def compose_labels(plan: Plan, variables: Mapping[str, str]) -> dict[str, str]:
    """The plan's labels with compose's `variables` in them.

    In place of the plan's identity stands only what those commands use of it, so that to `up` it is another plan.
    """
    kept = {key.removeprefix(LABEL_PREFIX): value for key, value in plan.labels.items()}
    port = plan.ports[0]
    labels = {
        **kept,
        "deployment": variables["STEPAUDIO_NAME"],
        "endpoint": plan.endpoint.removesuffix(str(port.host_port)) + variables["STEPAUDIO_PORT"],
        "plan-hash": "compose",
        "plan": _object(_identity(plan, variables)),
        "settings": _object(_settings(plan, kept["settings"], variables)),
    }
    return {LABEL_PREFIX + key: value for key, value in labels.items()}


def is_model(mount: Mount, plan: Plan) -> bool:
    """Whether the checkpoint is mounted by it."""
    return mount.kind == "bind" and mount.source not in {plan.files_source, plan.key_file}


def escaped(text: str) -> str:
    """Text in which compose finds no variables."""
    return text.replace("$", "$$")


def _identity(plan: Plan, variables: Mapping[str, str]) -> dict[str, str]:
    port = {
        "host_ip": _quoted(plan.ports[0].host_ip),
        "host_port": variables["STEPAUDIO_PORT"],
        "container_port": str(plan.ports[0].container_port),
    }
    key_file = variables.get("STEPAUDIO_API_KEY_FILE")
    return {
        "rendered": _quoted("compose"),
        "ports": f"[{_object(port)}]",
        "container": _object({"restart": _quoted(plan.container.restart)}),
        "stop_grace": str(plan.stop_grace),
        "files_source": _quoted(""),  # its files are the project's own
        "key_file": _quoted(key_file) if key_file else "null",
    }


def _settings(plan: Plan, label: str, variables: Mapping[str, str]) -> dict[str, str]:
    settings = {key: escaped(json.dumps(value)) for key, value in json.loads(label).items()}
    for name, variable in FILLED.items():
        if f"STEPAUDIO_{variable}" in variables:
            settings[name] = _quoted(variables[f"STEPAUDIO_{variable}"])
    for mount in (mount for mount in plan.mounts if is_model(mount, plan)):
        served = plan.command[plan.command.index("serve") + 1]
        folder = re.sub(r":\?.*", "}", variables[MODEL_DIR])  # said to be missing once, by the mount
        settings["model"] = _quoted(folder + served.removeprefix(mount.target))
    return settings


def _object(members: Mapping[str, str]) -> str:
    """A JSON object of values that are JSON already, or will be once compose has filled them in."""
    return "{" + ", ".join(f'"{name}": {value}' for name, value in members.items()) + "}"


def _quoted(text: str) -> str:
    return f'"{text}"'
