"""Fetching an image through the engine, event by event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..diagnosis import diagnose
from ..errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from docker import DockerClient


def pull(client: DockerClient, reference: str, *, on_event: Callable[[Mapping[str, Any]], None]) -> None:
    """Pull an image; `on_event` gets every event as the engine sends it (status, id, progressDetail).

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


def _cannot_have(reference: str, message: str) -> RefusedError:
    known = diagnose([message])
    what = f"the image {reference} is not here and cannot be pulled"
    if reference.startswith("stepaudio-serve/rehearsal"):
        return RefusedError(what, why=message, fix="make rehearsal-image   (or --runtime process, without an image)")
    if known:
        return RefusedError(what, why=f"{known[0].cause} ({message})", fix=known[0].fix)
    return RefusedError(what, why=message, fix=f"docker pull {reference}")
