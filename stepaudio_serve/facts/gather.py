"""All facts that a plan needs, gathered once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..settings.engine_images import chosen_image
from .checkpoint import Checkpoint, find_checkpoint
from .gpu import Gpus, driver_hangs
from .host import Folders, HostFacts, architecture, folders, look_at_host
from .looking import Look
from .nvml import look_at_gpus
from .plugin import plugin_sources
from .sources import sources
from .trusted_code import trusted_code

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docker import DockerClient

    from ..settings.options import Settings
    from .engine import EngineFacts, EngineProblem, ImageFacts

SECONDS = 5.0
"""For each look: an NVIDIA driver in no persistence mode takes about one for every card it wakes."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known before planning.

    `engine` is None where no container engine was looked at, or `engine_problem` says why it could not be asked.
    `image` is the plan's image where it is present, and `image_looked_for` says whether that was looked at.
    `trusted_code` maps file names to the SHA-256 recorded for this checkpoint's code; None where none is recorded.
    `elsewhere` names the machine that GPUs, engine and host are of, where it is not this one.
    `plugin_files` is the Step-Audio plugin, path to text; `named_plugins` what VLLM_PLUGINS says in this process, None
    where it is not set.
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
    plugin_files: Mapping[str, str] = field(default_factory=dict)
    named_plugins: str | None = None


def gather(settings: Settings, *, client: DockerClient | None = None, seconds: float = SECONDS) -> Facts:
    """Look at everything that concerns these settings; `client` where a container engine is to be asked.

    What can hang (driver, engine, disks) is looked at side by side, each for so many `seconds` at most; what gave no
    answer by then is told as such.

    Raises:
        SettingsError: the chat template does not exist.
        DockerException: the engine refuses, or was lost while it was asked.
    """
    from ..plan.chat_template import load_template

    places = folders()
    models = settings.models_dir or places.models
    wants_gpu = settings.engine == "vllm" and settings.gpus != "none"
    gpus = Look(look_at_gpus if wants_gpu else _not_asked, seconds=seconds)
    containers = Look(lambda: _ask(settings, client), seconds=seconds)
    files_of_model = Look(
        lambda: find_checkpoint(
            settings.model, models_dir=models, hub_cache=places.hub_cache, revision=settings.revision
        ),
        seconds=seconds,
    )
    kept: dict[Literal["models", "images", "state"], Path] = {
        "models": settings.models_dir or places.hub_cache,
        "state": places.state,
    }
    host = Look(lambda: look_at_host(kept), seconds=seconds)
    template = load_template(settings.chat_template)
    checkpoint = files_of_model.answer(lambda within: _unseen_checkpoint(settings.model, models, within))
    seen = containers.answer(_silent_engine)
    return Facts(
        checkpoint=checkpoint,
        gpus=gpus.answer(driver_hangs),
        engine=seen.engine,
        folders=places,
        architecture=seen.engine.architecture if seen.engine else architecture(),
        chat_template=template.source,
        chat_template_path=template.path,
        guard_files=guard_sources(),
        rehearsal_environment={
            key: value for key, value in os.environ.items() if key.startswith("STEPAUDIO_REHEARSAL_")
        },
        host=host.answer(lambda _: HostFacts()),
        engine_problem=seen.problem,
        image=seen.image,
        image_looked_for=seen.image_looked_for,
        trusted_code=trusted_code(places.state, checkpoint),
        plugin_files=plugin_sources() if chosen_image(settings).plugin else {},
        named_plugins=os.environ.get("VLLM_PLUGINS"),
    )


@dataclass(frozen=True, slots=True)
class _Containers:
    """What the container engine told, or why it told nothing."""

    engine: EngineFacts | None = None
    problem: EngineProblem | None = None
    image: ImageFacts | None = None
    image_looked_for: bool = False


def _ask(settings: Settings, client: DockerClient | None) -> _Containers:
    if client is None:
        return _Containers()
    from .engine import look_at_engine, look_at_image

    reference = settings.image or chosen_image(settings).image
    return _Containers(look_at_engine(client), None, look_at_image(client, reference), image_looked_for=True)


def _silent_engine(within: str) -> _Containers:
    from .engine_problem import gave_no_answer

    return _Containers(problem=gave_no_answer(within))


def _not_asked() -> Gpus:
    return Gpus((), absence="no GPU was asked for", absence_kind="not-asked")


def _unseen_checkpoint(model: str, models: Path, within: str) -> Checkpoint:
    """Not simply one that is missing: it may well be there, on a file system that hangs."""
    path = Path(model) if model.startswith(("/", ".", "~")) else models / model
    return Checkpoint(model, path, path, "", exists=True, problem=f"its disk {within}")


_CLIENTS_ALONE = frozenset({"audio/media.py", "audio/mixdown.py"})
"""Modules for PyAV, which the engine does not have and the guard does not use."""


def guard_sources() -> dict[str, str]:
    """The package that is put into the engine: the guard, the audio modules it uses, and a door to them."""
    package = files("stepaudio_serve")
    parts = {name: text for part in ("guard", "audio") for name, text in sources(package.joinpath(part), part)}
    used = {name: text for name, text in parts.items() if name not in _CLIENTS_ALONE}
    return {"__init__.py": "from .guard import Guard as Guard\n", **used}


def key_file_problem(path: Path) -> str:
    """Why the guard could not use a key file, or an empty string."""
    from ..guard.keys import parse_keys

    try:
        parse_keys(path.read_bytes())
    except (OSError, ValueError) as error:
        return str(error)
    return ""
