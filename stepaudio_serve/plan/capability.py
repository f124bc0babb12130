"""Whether GPUs can compute a checkpoint's weights in the image that is meant, by their compute capability."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..settings.engine_images import chosen_image
from ..settings.quantizations import support
from .versions import older

if TYPE_CHECKING:
    from ..facts.checkpoint import Checkpoint
    from ..settings.options import Settings
    from .devices import Device


def can_compute(settings: Settings, checkpoint: Checkpoint, device: Device) -> bool:
    """Whether nothing that is known stands against it; of an image given by hand nothing is known."""
    rule = support(checkpoint.quantization.kind)
    if rule is not None and older(device.compute_capability, rule.oldest_capability):
        return False
    known_image = settings.image is None and settings.runtime == "docker"
    return not (known_image and device.compute_capability in chosen_image(settings).lacks)
