"""Which of the known engine images is meant, whether it can work here, and what the other one would bring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..finding import Finding
from ..plan.devices import devices_for
from ..settings.engine_images import IMAGES, chosen_image, engine_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..facts.gather import Facts
    from ..settings.engine_images import EngineImage
    from ..settings.options import Settings

BRINGS = {
    "stepfun": "stepfun is exactly the model card's stack",
    "upstream": "upstream is a current vLLM with our plugin, for amd64 and arm64",
}
"""What the other one would bring, in a few words; docs/engine-images.md has them all."""


def check_choice(settings: Settings, facts: Facts) -> Iterator[Finding]:
    """What was chosen, where that has run, and the other where it could work too.

    What stands against the chosen one is said by the checks of the platform and of the hardware.
    """
    if settings.engine != "vllm" or settings.recipe == "model-card":
        return
    known = chosen_image(settings)
    if stands_against(known, settings, facts):
        return
    other = next(engine_image(name) for name in IMAGES if name != known.name)
    barred = stands_against(other, settings, facts)
    beside = f"--engine-image {other.name} cannot work here: {barred}" if barred else BRINGS[other.name]
    yield Finding("image-choice", "image", "ok", f"{_in_words(known, settings)}; {beside}")


def working(settings: Settings, facts: Facts) -> str:
    """The flag for the other known image where that can work here; empty where it cannot, or there is no choice."""
    if settings.engine != "vllm" or settings.recipe == "model-card":
        return ""
    other = next(engine_image(name) for name in IMAGES if name != chosen_image(settings).name)
    return "" if stands_against(other, settings, facts) else f"--engine-image {other.name}"


def stands_against(known: EngineImage, settings: Settings, facts: Facts) -> str:
    """Why a known image cannot work on this machine, as far as is known; empty where it can."""
    platform = f"linux/{facts.architecture}"
    if settings.runtime == "docker" and platform not in known.platforms:
        return f"it does not exist for {platform}"
    lacking = sorted({device.compute_capability for device in devices_for(settings, facts.gpus)} & set(known.lacks))
    return f"it has no kernels for compute capability {', '.join(lacking)}" if lacking else ""


def _in_words(known: EngineImage, settings: Settings) -> str:
    if settings.runtime != "docker":
        return f"{known.name}: `vllm` on this machine is taken to be that, and gets its flags"
    if settings.image is not None:
        return f"{known.name}: {settings.image} gets its flags"
    reported = f"reported on {'; '.join(known.reported)}" if known.reported else "on a real GPU nobody has reported it"
    return f"{known.name}: {reported}; seen there by us: {'; '.join(known.seen) or 'nothing yet'}"
