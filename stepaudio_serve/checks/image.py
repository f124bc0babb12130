"""The image: whether it exists for this processor, and whether it is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..finding import Finding
from ..settings.engine_images import chosen_image, engine_image
from .amounts import gigabytes
from .engine_choice import working

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..facts.engine import ImageFacts
    from ..facts.gather import Facts
    from ..plan.plan import Plan
    from ..settings.options import Settings


def check_image(settings: Settings, facts: Facts, plan: Plan) -> Iterator[Finding]:
    """What is known of the image before it is fetched, or seen of it once it is here."""
    if settings.runtime != "docker":
        return
    known = chosen_image(settings)
    platform = f"linux/{facts.architecture}"
    if plan.image == known.image and platform not in known.platforms:
        yield Finding(
            "platform",
            "image",
            "blocker",
            f"{plan.image} does not exist for {platform}",
            f"it exists for {', '.join(known.platforms)}",
            working(settings, facts) or "--image IMAGE with a build for this processor",
        )
    elif facts.image is not None:
        wrong = check_platform_of(facts.image, plan.image, facts.architecture)
        yield from wrong or (_present(facts.image, plan.image),)
    elif facts.image_looked_for:
        ours = plan.image == engine_image("rehearsal").image
        yield Finding(
            "image-missing",
            "image",
            "note",
            f"{plan.image} is not here yet",
            "it is built on this machine" if ours else "`up` fetches it; how large it is the registry says",
            "make rehearsal-image" if ours else f"stepaudio-serve pull{_which(settings)}",
        )
    else:
        yield Finding("image", "image", "ok", f"{plan.image} (whether it is here was not looked at)")


def check_platform_of(image: ImageFacts, reference: str, architecture: str) -> tuple[Finding, ...]:
    """An image that is present, against the engine's processor."""
    if not image.architecture or image.architecture == architecture:
        return ()
    return (
        Finding(
            "platform",
            "image",
            "blocker",
            f"{reference} is built for {image.architecture}, the engine runs on {architecture}",
            "it would end with `exec format error`",
            f"docker pull --platform linux/{architecture} {reference}",
        ),
    )


def _present(image: ImageFacts, reference: str) -> Finding:
    size = f", {gigabytes(image.size)}" if image.size else ""
    return Finding("image", "image", "ok", f"{reference} is here{size}")


def _which(settings: Settings) -> str:
    if settings.image:
        return f" --image {settings.image}"
    return "" if settings.engine_image == "stepfun" else f" --engine-image {settings.engine_image}"
