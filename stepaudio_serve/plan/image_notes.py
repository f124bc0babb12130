"""What choosing an engine image means, in plain words: what it brings, what it lacks, and where it has run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..settings.engine_images import IMAGES, chosen_image, engine_image
from ..vllm_plugin import release
from .command import DRAIN_FLAG, gives
from .plan import Note
from .plugin import VARIABLE, brings_plugin, supported_versions, widened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..facts.gather import Facts
    from ..settings.engine_images import EngineImage
    from ..settings.options import Settings


def image_notes(settings: Settings, facts: Facts, command: tuple[str, ...]) -> Iterator[Note]:
    """Which of the two known images it is and what the other would bring; for the plugin, what it changes."""
    known = chosen_image(settings)
    if known.plugin:
        yield _upstream(known)
    elif known.name in IMAGES and settings.image is None and settings.runtime == "docker":
        yield _stepfun(known)
    if not brings_plugin(settings):
        return
    yield Note(
        "plugin",
        f"the Step-Audio plugin {release.PLUGIN_VERSION} is put into the engine, read-only, on PYTHONPATH",
        f"vLLM does not know the model by itself; the plugin supports {supported_versions()} and refuses others",
    )
    yield Note(
        "memory-of-upstream",
        "the memory estimate rests on figures of the frozen image",
        "nobody has measured this one: the plugin hears one clip at a time, which takes less than is set aside here, "
        "and newer vLLM counts CUDA graphs into its budget, which takes more",
    )
    yield from _flags(settings, facts, command)


def _stepfun(known: EngineImage) -> Note:
    return Note(
        "engine-image",
        "the engine is the image that the model card names: stepfun",
        "exactly the card's stack, but frozen in August 2025 with holes known since (the guard stands before them), "
        f"and for amd64 only; on real GPUs others report it, we saw {_listed(known.seen)}. --engine-image upstream is "
        "a current vLLM with our plugin, for amd64 and arm64, whose tests run on CPUs; of it on real GPUs we saw "
        f"{_listed(engine_image('upstream').seen)}",
    )


def _upstream(known: EngineImage) -> Note:
    return Note(
        "engine-image",
        "the engine is a current vLLM with our Step-Audio plugin: upstream",
        "maintained, for amd64 and arm64, and no code of the checkpoint is needed; the plugin agreed with reference "
        f"figures on a CPU; on real GPUs we saw {_listed(known.seen)}. --engine-image stepfun is exactly the model "
        "card's stack, but frozen in August 2025 with holes known since, and for amd64 only",
    )


def _listed(runs: tuple[str, ...]) -> str:
    return "; ".join(runs) or "none yet"


def _flags(settings: Settings, facts: Facts, command: tuple[str, ...]) -> Iterator[Note]:
    if DRAIN_FLAG in command and not gives(DRAIN_FLAG, settings.engine_args):
        seconds = command[command.index(DRAIN_FLAG) + 1]
        yield Note(
            "shutdown-timeout",
            f"when it is stopped, answers in flight have {seconds} s to finish",
            f"{DRAIN_FLAG}, a little less than stop_grace ({settings.stop_grace} s); the frozen image has no such flag",
        )
    if settings.trust_remote_code == "auto":
        yield Note(
            "checkpoint-code",
            "no code of the checkpoint's folder runs in the engine",
            "the plugin brings config and model, so that --trust-remote-code is not needed",
        )
    if named := widened(settings, facts):
        yield Note(
            "vllm-plugins",
            f"{VARIABLE} becomes {named}",
            f"it is set where the engine runs, and without {release.ENTRY_POINT_NAME} in it the plugin is left out",
        )
