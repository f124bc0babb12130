"""The checkpoint from the Hub: what is to be fetched, whether there is room, the fetching, and the look afterwards."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import RefusedError
from ..facts.checkpoint.sizes import in_words
from ..settings.options import DEFAULT_MODEL
from .hub import Listing, address, list_files, request_headers
from .place import CachePlace, FolderPlace, Place
from .problems import of_disk
from .transfer import Job, Transfer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..facts.checkpoint import Checkpoint
    from ..facts.host import Folders
    from ..settings.options import Settings

ROOM_BYTES = 256 * 10**6
"""What is to stay free beside the files: the plan's own files, logs, and what others write meanwhile."""


@dataclass(frozen=True, slots=True)
class CheckpointFetch:
    """What is to be fetched, and where to; sizes in bytes.

    `jobs` are the files that are not there as the Hub lists them; `replaced` names those of them that are there and
    differ.
    """

    listing: Listing
    place: Place
    jobs: tuple[Job, ...]
    replaced: tuple[str, ...]

    @property
    def missing(self) -> int:
        """Bytes still to come."""
        return sum(job.file.size - job.have for job in self.jobs)

    @property
    def have(self) -> int:
        """Bytes that are there, whole files and parts."""
        return self.listing.size - self.missing


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came: `received` bytes over the network in `seconds`; `put_aside` the user's files that made way."""

    received: int
    seconds: float
    put_aside: tuple[Path, ...] = ()


def look_on_hub(settings: Settings, checkpoint: Checkpoint, folders: Folders) -> CheckpointFetch:
    """Compare what the Hub lists with what is on the disk.

    A folder that is there already is completed where it is. Else it goes to `models_dir` where that is set, else to
    the Hub's cache, which other tools share.

    Raises:
        HubUnreachableError, RefusedError: as `list_files`.
    """
    listing = list_files(settings.model, settings.revision)
    if not any(file.name.endswith(".safetensors") for file in listing.files):
        raise RefusedError(
            f"{settings.model} has no weights that vLLM reads",
            why=f"no *.safetensors among its {len(listing.files) + len(listing.left_out)} files",
            fix=f"--model {DEFAULT_MODEL}",
        )
    place = _place(settings, checkpoint, folders, listing)
    lacking = [file for file in listing.files if not place.has(file)]
    jobs = tuple(Job(file, address(listing, file), place) for file in lacking)
    return CheckpointFetch(listing, place, jobs, tuple(file.name for file in lacking if place.target(file).exists()))


def _place(settings: Settings, checkpoint: Checkpoint, folders: Folders, listing: Listing) -> Place:
    if checkpoint.exists and not checkpoint.inside:
        return FolderPlace(checkpoint.path, listing)
    if settings.models_dir is not None and not checkpoint.exists:
        return FolderPlace(settings.models_dir / settings.model.split("/")[1], listing)
    return CachePlace(folders.hub_cache, listing)


def check_room(fetch: CheckpointFetch) -> None:
    """Refuse before a byte is written what the disk cannot hold.

    Raises:
        RefusedError: with what is needed and what is free.
    """
    import shutil

    folder = fetch.place.disk
    while not folder.exists():
        folder = folder.parent
    free, wanted = shutil.disk_usage(folder).free, fetch.missing + ROOM_BYTES
    if fetch.missing and free < wanted:
        raise RefusedError(
            f"{fetch.listing.repository} does not fit on the disk of {folder}",
            why=f"{in_words(fetch.missing)} are still to come, and {in_words(ROOM_BYTES)} are to stay free;"
            f" {in_words(free)} are free",
            fix="--models-dir DIR   (on a larger disk; or HF_HOME=DIR, the Hub's own cache)",
        )


def fetch_checkpoint(fetch: CheckpointFetch, *, on_bytes: Callable[[int, int], None]) -> Fetched:
    """Download what is missing; `on_bytes` hears of bytes that are there, and of how many there will be.

    Raises:
        RefusedError: it cannot be had; what came is kept.
        KeyboardInterrupt: interrupted; what came is kept.
    """
    check_room(fetch)
    began, whole = time.monotonic(), fetch.listing.size
    there = whole - sum(job.file.size for job in fetch.jobs)
    transfer = Transfer(
        fetch.listing.repository,
        fetch.jobs,
        request_headers(),
        on_bytes=lambda number: on_bytes(there + number, whole),
    )
    try:
        if fetch.jobs:
            transfer.run()
        finished = fetch.place.finish()
    except OSError as error:
        if error.errno is None:  # ours, which are OSErrors by name only
            raise
        raise of_disk(error, fetch.place.folder) from error
    return Fetched(transfer.received, time.monotonic() - began, (*transfer.put_aside, *finished))


def check_whole(checkpoint: Checkpoint) -> None:
    """Refuse a folder that cannot be served, from the headers of its files.

    Raises:
        RefusedError: with what is wrong.
    """
    if not checkpoint.problem:
        return
    wrong = "; ".join(f"{fault.file}: {fault.kind} {fault.detail}".rstrip() for fault in checkpoint.faults)
    raise RefusedError(
        f"the checkpoint folder {checkpoint.path} {checkpoint.problem}",
        why=wrong or "a checkpoint has config.json, a tokenizer and *.safetensors files",
        fix=f"stepaudio-serve pull --model {checkpoint.requested if checkpoint.is_repository else DEFAULT_MODEL}",
    )
