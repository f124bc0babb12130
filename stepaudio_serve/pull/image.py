"""The image from its registry: what is to come, the pulling event by event, and the look afterwards."""

from __future__ import annotations

import re
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

_NO_CONNECTION = (
    (r"proxyconnect", "the container engine's proxy does not answer"),
    (r"no such host|name resolution|server misbehaving", "its name cannot be resolved: no network, or no DNS"),
    (r"connection refused", "the connection was refused"),
    (r"i/o timeout|Client\.Timeout|context deadline exceeded|request canceled", "it did not answer in time"),
    (r"network is unreachable|no route to host", "no network leads there"),
)
"""What Docker Engine (Go's net package) says of a registry that it cannot reach, and what it means."""


@dataclass(frozen=True, slots=True)
class ImageFetch:
    """An image that is to be pulled; `size` in bytes as it is fetched (compressed), None where `unknown` says why."""

    reference: str
    size: int | None
    unknown: str = "its registry does not tell us its size"

    def in_words(self) -> str:
        """What is to come, and that its size is not known where it is not."""
        known = f"{in_words(self.size)} to fetch" if self.size is not None else self.unknown
        return f"image {self.reference}: {known}"


def look_at_source(reference: str, architecture: str) -> ImageFetch:
    """What the registry tells of the image for linux on this processor, which need not be all.

    Raises:
        RefusedError: it exists, and not for this processor.
    """
    try:
        told = look_in_registry(reference, architecture)
    except ConnectionError as error:
        return ImageFetch(reference, None, f"how large it is is not known; its registry cannot be reached: {error}")
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
                raise cannot_have(reference, str(event["error"]))
            on_event(event)
    except APIError as error:
        raise cannot_have(reference, str(error.explanation or error)) from error
    found = look_at_image(client, reference)
    if found is None:
        raise cannot_have(reference, "the engine pulled it without an error, and does not have it")
    return found


def cannot_have(reference: str, message: str) -> RefusedError:
    """Why the engine's `message` says that it cannot have the image, in words."""
    known = diagnose([message])
    what = f"the image {reference} is not here and cannot be pulled"
    if reference.startswith("stepaudio-serve/rehearsal"):
        return RefusedError(what, why=message, fix="make rehearsal-image   (or --runtime process, without an image)")
    for words, why in _NO_CONNECTION:
        if re.search(words, message):
            return RefusedError(
                what,
                why=f"its registry cannot be reached: {why}; layers that are whole are kept",
                fix=f"stepaudio-serve pull --image {reference}   (later; or from a file: docker load -i FILE)",
            )
    if known:
        return RefusedError(what, why=f"{known[0].cause} ({message})", fix=known[0].fix)
    return RefusedError(what, why=message, fix=f"docker pull {reference}")
