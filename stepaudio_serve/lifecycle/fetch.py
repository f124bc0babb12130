"""What a deployment needs and this machine lacks: the checkpoint from the Hub, the image from its registry."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..checks.image import check_platform_of
from ..facts.checkpoint import find_checkpoint
from ..facts.checkpoint.sizes import in_words
from ..facts.engine import look_at_engine, look_at_image
from ..facts.host import folders
from ..pull.again import pull_command, repeating
from ..pull.checkpoint import CheckpointFetch, check_room, check_whole, fetch_checkpoint, look_on_hub
from ..pull.image import ImageFetch, look_at_source, pull_image
from ..pull.problems import HubUnreachableError
from ..runtime.choose import docker_runtime
from ..settings.engine_images import chosen_image
from .prepare import refuse

if TYPE_CHECKING:
    from pathlib import Path

    from docker import DockerClient

    from ..facts.checkpoint import Checkpoint
    from ..facts.engine import ImageFacts
    from ..finding import Finding
    from ..settings.options import Settings
    from .observer import Observer
    from .prepare import Prepared

CURED_BY_FETCHING = (
    "checkpoint-missing",
    "checkpoint-broken",
    "checkpoint-incomplete",
    "checkpoint-truncated",
    "checkpoint-damaged",
    "checkpoint-unfinished",
    "checkpoint-dangling",
)
"""Findings that a fetch makes go away."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What is to be fetched; None where nothing is."""

    checkpoint: CheckpointFetch | None = None
    image: ImageFetch | None = None

    def __bool__(self) -> bool:
        """Whether anything is."""
        return self.checkpoint is not None or self.image is not None


@dataclass(frozen=True, slots=True)
class PulledCheckpoint:
    """A checkpoint that is here and whole. `revision` is its commit, empty where it is not known.

    `bytes` of the files, `downloaded` of them in this run over the network, in `seconds`. `verified` says by what:
    `sha256` of all that came in this run and the sizes of the rest, `sizes` as the Hub lists them, or only the
    `headers` of the files. `left_out` names files that no engine needs; `notice` says why the Hub had no say.
    """

    repository: str
    revision: str
    path: Path
    bytes: int
    downloaded: int
    seconds: float
    verified: str
    left_out: tuple[str, ...] = ()
    notice: str = ""

    def to_json(self) -> dict[str, Any]:
        """As `pull --json` prints it."""
        return {
            "repository": self.repository,
            "revision": self.revision,
            "path": str(self.path),
            "bytes": self.bytes,
            "downloaded": self.downloaded,
            "seconds": round(self.seconds, 1),
            "verified": self.verified,
        }


@dataclass(frozen=True, slots=True)
class PulledImage:
    """An image that is here and runs on this processor."""

    reference: str
    facts: ImageFacts
    pulled: bool
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As `pull --json` prints it; size in bytes as it lies on the disk."""
        return {
            "reference": self.reference,
            "id": self.facts.id,
            "digest": self.facts.digest,
            "architecture": self.facts.architecture,
            "bytes": self.facts.size,
            "pulled": self.pulled,
            "seconds": round(self.seconds, 1),
        }


def on_disk(settings: Settings) -> Checkpoint:
    """The checkpoint that the settings name, as it is on the disk now."""
    places = folders()
    return find_checkpoint(
        settings.model,
        models_dir=settings.models_dir or places.models,
        hub_cache=places.hub_cache,
        revision=settings.revision,
    )


def offering_to_fetch(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The findings, with `up --yes` beside the fix of those that a fetch makes go away."""
    return tuple(
        replace(finding, fix=f"{finding.fix}   (or `up --yes`: fetches it, then starts)")
        if finding.id in CURED_BY_FETCHING and finding.level == "blocker"
        else finding
        for finding in findings
    )


def can_be_fetched(settings: Settings, found: Checkpoint) -> bool:
    """Whether the checkpoint is one of a Hub's, is needed, and is not here or not whole."""
    return settings.engine == "vllm" and found.is_repository and bool(found.problem)


def look_for_missing(prepared: Prepared, *, checkpoint: bool) -> Missing:
    """What this plan needs and this machine lacks; whether to look for the `checkpoint` on the Hub, too.

    Raises:
        RefusedError: the image exists for other processors only, or is here for another one; the Hub does not give
            the checkpoint, or there is no room for it.
    """
    wanted = None
    image = _missing_image(prepared)
    if checkpoint:
        with repeating(pull_command(prepared.settings)):
            wanted = look_on_hub(prepared.settings, prepared.facts.checkpoint, prepared.facts.folders)
            check_room(wanted)
    return Missing(wanted, image)


def bring_missing(prepared: Prepared, missing: Missing, observer: Observer) -> None:
    """Fetch it: the image first, since it is the smaller part that may fail.

    Raises:
        RefusedError: it cannot be had.
        KeyboardInterrupt: interrupted; what came is kept.
    """
    client = _client(prepared)
    with repeating(pull_command(prepared.settings)):
        if missing.image is not None and client is not None:
            bring_image(client, missing.image.reference, prepared.facts.architecture, observer)
        if missing.checkpoint is not None:
            bring_checkpoint(prepared.settings, missing.checkpoint, observer)


def _missing_image(prepared: Prepared) -> ImageFetch | None:
    client, reference = _client(prepared), prepared.plan.image
    if client is None:
        return None
    found = look_at_image(client, reference)
    if found is None:
        return look_at_source(reference, prepared.facts.architecture)
    refuse(check_platform_of(found, reference, prepared.facts.architecture))
    return None


def _client(prepared: Prepared) -> DockerClient | None:
    """The container engine's client; None where no container is started."""
    from ..runtime.docker import DockerRuntime

    runtime = prepared.runtime
    return runtime.client if isinstance(runtime, DockerRuntime) else None


def pull_checkpoint(settings: Settings, observer: Observer, *asked: str) -> PulledCheckpoint:
    """Bring the checkpoint as the Hub has it now; a folder of the user's own is only looked at.

    `asked`: what else the user said to `pull`, for fixes that repeat it.

    Raises:
        RefusedError: it cannot be had, or what is there is damaged.
        KeyboardInterrupt: interrupted; what came is kept.
    """
    found = on_disk(settings)
    if not found.is_repository:
        check_whole(found)
        return _here(found, "it is a folder: looked at, nothing to fetch")
    with repeating(pull_command(settings, *asked)):
        try:
            fetch = look_on_hub(settings, found, folders())
        except HubUnreachableError as error:
            if found.problem:
                raise
            return _here(found, f"not compared with the Hub: {error.what}")
        return bring_checkpoint(settings, fetch, observer)


def bring_checkpoint(settings: Settings, fetch: CheckpointFetch, observer: Observer) -> PulledCheckpoint:
    """Download what is missing, then look at the whole.

    Raises:
        as `pull_checkpoint`.
    """
    listing = fetch.listing
    have = [fetch.have]

    def told(now: int, total: int) -> None:
        have[0] = now
        observer.fetching(listing.repository, now, total)

    if fetch.replaced:
        observer.notice(f"here and not as the Hub lists them, to be replaced: {', '.join(fetch.replaced)}")
    try:
        done = fetch_checkpoint(fetch, on_bytes=told)
    except KeyboardInterrupt:
        with suppress(OSError):
            observer.notice(
                f"{in_words(have[0])} of {in_words(listing.size)} of {listing.repository} are here and stay;"
                " the same command goes on from there"
            )
        raise
    for path in done.put_aside:
        observer.notice(f"your {path.name.partition('.before-pull')[0]} differed from the Hub's; it is kept as {path}")
    found = on_disk(settings)
    check_whole(found)
    if done.received:
        observer.fetched(f"fetched {listing.repository}: {in_words(done.received)}, checked by SHA-256")
    return PulledCheckpoint(
        repository=listing.repository,
        revision=listing.commit,
        path=found.path,
        bytes=listing.size,
        downloaded=done.received,
        seconds=done.seconds,
        verified="sha256" if fetch.jobs else "sizes",
        left_out=listing.left_out,
    )


def image_of(settings: Settings) -> str | None:
    """The image that a deployment with these settings runs in; None where it needs none, or one that is built here."""
    if settings.runtime != "docker":
        return None
    if settings.engine == "rehearsal":
        return settings.image
    return settings.image or chosen_image(settings).image


def bring_image(client: DockerClient, reference: str, architecture: str, observer: Observer) -> PulledImage:
    """Pull an image.

    Raises:
        RefusedError: it cannot be had, or came for another processor.
        KeyboardInterrupt: interrupted; the engine keeps the layers that are whole.
    """
    began = time.monotonic()
    try:
        found = pull_image(client, reference, on_event=lambda event: observer.pulling(reference, event))
    except KeyboardInterrupt:
        with suppress(OSError):
            observer.notice(f"the engine keeps the layers of {reference} that are whole; the same command goes on")
        raise
    refuse(check_platform_of(found, reference, architecture))
    observer.pulled(reference)
    return PulledImage(reference, found, pulled=True, seconds=time.monotonic() - began)


def pull_image_of(settings: Settings, observer: Observer, *asked: str) -> PulledImage | None:
    """Pull the image of these settings unless it is here; None where they need none.

    `asked`: as for `pull_checkpoint`.

    Raises:
        RuntimeUnavailableError: no container engine answers.
        RefusedError, KeyboardInterrupt: as `bring_image`.
    """
    reference = image_of(settings)
    if reference is None:
        return None
    client = docker_runtime().client
    architecture = look_at_engine(client).architecture
    here = look_at_image(client, reference)
    if here is not None:
        refuse(check_platform_of(here, reference, architecture))
        return PulledImage(reference, here, pulled=False)
    source = look_at_source(reference, architecture)
    observer.notice(source.in_words())
    with repeating(pull_command(settings, *asked)):
        return bring_image(client, reference, architecture, observer)


def _here(found: Checkpoint, notice: str) -> PulledCheckpoint:
    """What is on the disk and was not compared with a Hub."""
    files = [path for path in found.path.rglob("*") if path.is_file() and ".cache" not in path.parts]
    return PulledCheckpoint(
        repository=found.requested if found.is_repository else "",
        revision=found.path.name if found.inside else "",
        path=found.path,
        bytes=sum(path.stat().st_size for path in files),
        downloaded=0,
        seconds=0.0,
        verified="headers",
        notice=notice,
    )
