"""The image from its registry: what is to come, the pulling event by event, and the look afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..diagnosis import diagnose
from ..errors import RefusedError
from ..facts.checkpoint.sizes import in_words
from ..facts.engine import look_at_image
from .registry import look_in_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from docker import DockerClient

    from ..facts.engine import ImageFacts


@dataclass(frozen=True, slots=True)
class ImageFetch:
    """An image that is to be pulled; `size` in bytes as it is fetched (compressed), None where it is not known."""

    reference: str
    size: int | None

    def in_words(self) -> str:
        """What is to come, and that its size is not known where it is not."""
        known = f"{in_words(self.size)} to fetch" if self.size is not None else "its registry does not tell us its size"
        return f"image {self.reference}: {known}"


def look_at_source(reference: str, architecture: str) -> ImageFetch:
    """What the registry tells of the image for linux on this processor, which need not be all.

    Raises:
        RefusedError: it exists, and not for this processor.
    """
    told = look_in_registry(reference, architecture)
    if told is None:
        return ImageFetch(reference, None)
    platform = f"linux/{architecture}"
    if platform not in told.platforms:
        raise RefusedError(
            f"{reference} does not exist for {platform}",
            why=f"it exists for {', '.join(told.platforms)}; nothing was fetched",
            fix="--image IMAGE   (with a build for this processor)",
        )
    return ImageFetch(reference, told.size)


def pull_image(client: DockerClient, reference: str, *, on_event: Callable[[Mapping[str, Any]], None]) -> ImageFacts:
    """Pull an image; `on_event` gets every event as the engine sends it (status, id, progressDetail).

    Interrupted, the engine keeps the layers that are whole, and takes the others up again.

    Raises:
        RefusedError: it cannot be had, with the registry's own words.
    """
    from docker.errors import APIError
    from docker.utils import parse_repository_tag

    repository, tag = parse_repository_tag(reference)
    try:
        for event in client.api.pull(repository, tag=tag or "latest", stream=True, decode=True):
            if "error" in event:
                raise _cannot_have(reference, str(event["error"]))
            on_event(event)
    except APIError as error:
        raise _cannot_have(reference, str(error.explanation or error)) from error
    found = look_at_image(client, reference)
    if found is None:
        raise _cannot_have(reference, "the engine pulled it without an error, and does not have it")
    return found


def _cannot_have(reference: str, message: str) -> RefusedError:
    known = diagnose([message])
    what = f"the image {reference} is not here and cannot be pulled"
    if reference.startswith("stepaudio-serve/rehearsal"):
        return RefusedError(what, why=message, fix="make rehearsal-image   (or --runtime process, without an image)")
    if known:
        return RefusedError(what, why=f"{known[0].cause} ({message})", fix=known[0].fix)
    return RefusedError(what, why=message, fix=f"docker pull {reference}")
