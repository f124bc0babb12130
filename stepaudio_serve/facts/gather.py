"""All facts that a plan needs, gathered once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING

from .checkpoint import Checkpoint, find_checkpoint
from .gpu import Gpus
from .host import Folders, HostFacts, architecture, folders
from .nvml import look_at_gpus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from docker import DockerClient

    from ..settings.options import Settings
    from .engine import EngineFacts, EngineProblem, ImageFacts


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known before planning.

    `engine` is None where no container engine was looked at, or `engine_problem` says why it could not be asked.
    `image` is the plan's image where it is present, and `image_looked_for` says whether that was looked at.
    `trusted_code` maps file names to the SHA-256 recorded for this checkpoint's code; None where none is recorded.
    `elsewhere` names the machine that GPUs, engine and host are of, where it is not this one.
    """

    checkpoint: Checkpoint
    gpus: Gpus
    engine: EngineFacts | None
    folders: Folders
    architecture: str
    chat_template: str
    guard_files: Mapping[str, str]
    rehearsal_environment: Mapping[str, str]
    chat_template_path: Path | None = None
    host: HostFacts = field(default_factory=HostFacts)
    engine_problem: EngineProblem | None = None
    image: ImageFacts | None = None
    image_looked_for: bool = False
    trusted_code: Mapping[str, str] | None = None
    elsewhere: str = ""


def gather(settings: Settings, *, client: DockerClient | None = None) -> Facts:
    """Look at everything that concerns these settings; `client` where a container engine is to be asked.

    Raises:
        SettingsError: the chat template does not exist.
    """
    from ..plan.chat_template import load_template

    places = folders()
    engine = None
    if client is not None:
        from .engine import look_at_engine

        engine = look_at_engine(client)
    template = load_template(settings.chat_template)
    wants_gpu = settings.engine == "vllm" and settings.gpus != "none"
    return Facts(
        checkpoint=find_checkpoint(
            settings.model,
            models_dir=settings.models_dir or places.models,
            hub_cache=places.hub_cache,
            revision=settings.revision,
        ),
        gpus=look_at_gpus() if wants_gpu else Gpus((), absence="no GPU was asked for", absence_kind="not-asked"),
        engine=engine,
        folders=places,
        architecture=engine.architecture if engine else architecture(),
        chat_template=template.source,
        chat_template_path=template.path,
        guard_files=guard_sources(),
        rehearsal_environment={
            key: value for key, value in os.environ.items() if key.startswith("STEPAUDIO_REHEARSAL_")
        },
    )


def guard_sources() -> dict[str, str]:
    """The guard's modules, as they are put into the engine."""
    folder = files("stepaudio_serve.guard")
    return {
        item.name: item.read_text("utf-8")
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if item.is_file() and item.name.endswith(".py")
    }


def key_file_problem(path: Path) -> str:
    """Why the guard could not use a key file, or an empty string."""
    from ..guard.keys import parse_keys

    try:
        parse_keys(path.read_bytes())
    except (OSError, ValueError) as error:
        return str(error)
    return ""
