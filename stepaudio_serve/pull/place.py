"""Where a checkpoint goes: the Hub's cache, shared with other tools, or a folder of its own."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..facts.checkpoint.safetensors import read_shard

if TYPE_CHECKING:
    from pathlib import Path

    from .hub import HubFile, Listing

_WEIGHTS = ".safetensors"
BLOCK = 2**20
"""Bytes that are read at once."""


class Place(Protocol):
    """Where the files of one listing go. A file arrives as its `partial` and becomes its `target` when it is whole."""

    @property
    def folder(self) -> Path:
        """The checkpoint's folder, in the end."""

    @property
    def disk(self) -> Path:
        """The folder whose disk takes the bytes."""

    def target(self, file: HubFile) -> Path:
        """The whole file."""

    def partial(self, file: HubFile) -> Path:
        """What has come of it; the name holds the digest, so that another version's part is never gone on from."""

    def has(self, file: HubFile) -> bool:
        """Whether it is there as listed: by size, and by digest as far as that is known without reading gigabytes."""

    def place(self, file: HubFile) -> Path | None:
        """Give a whole partial its target's name; where an older file of the user's was put aside, if one was."""

    def finish(self) -> tuple[Path, ...]:
        """All files are there: make them the checkpoint; where files of the user's were put aside."""


@dataclass(frozen=True, slots=True)
class CachePlace:
    """The Hub's cache: `blobs/DIGEST`, links from `snapshots/COMMIT/NAME`, and the commit in `refs/REVISION`.

    The layout is the one documented at huggingface.co/docs/huggingface_hub/guides/manage-cache.
    """

    cache: Path
    listing: Listing

    @property
    def _repository(self) -> Path:
        return self.cache / f"models--{self.listing.repository.replace('/', '--')}"

    @property
    def folder(self) -> Path:
        """The snapshot."""
        return self._repository / "snapshots" / self.listing.commit

    @property
    def disk(self) -> Path:
        """Blobs hold the bytes."""
        return self._repository / "blobs"

    def target(self, file: HubFile) -> Path:
        """The blob."""
        return self.disk / file.digest

    def partial(self, file: HubFile) -> Path:
        """Beside the blob."""
        return self.disk / f"{file.digest}.incomplete"

    def has(self, file: HubFile) -> bool:
        """A blob's name is its digest; on a disk without links the snapshot itself holds the file."""
        return any(_is_sound(path, file) for path in (self.target(file), self.folder / file.name))

    def place(self, file: HubFile) -> Path | None:
        """A blob takes nobody's place."""
        self.partial(file).replace(self.target(file))
        return None

    def finish(self) -> tuple[Path, ...]:
        """Link the snapshot, and note which commit the revision is; a file that stood in a link's place is kept."""
        put_aside = []
        for file in self.listing.files:
            link, blob = self.folder / file.name, self.target(file)
            link.parent.mkdir(parents=True, exist_ok=True)
            if _is_sound(link, file):
                continue
            if link.exists() and not link.is_symlink():
                put_aside.append(link.rename(_free_name(link)))
            link.unlink(missing_ok=True)
            try:
                link.symlink_to(os.path.relpath(blob, link.parent))
            except OSError:  # a disk without links
                blob.replace(link)
        if self.listing.revision != self.listing.commit:
            reference = self._repository / "refs" / self.listing.revision
            reference.parent.mkdir(parents=True, exist_ok=True)
            reference.write_text(self.listing.commit, "ascii")
        return tuple(put_aside)


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """A plain folder. The Hub's library notes beside each file which version it is; so do we, in its own words."""

    folder: Path
    listing: Listing

    @property
    def disk(self) -> Path:
        """The folder itself."""
        return self.folder

    def target(self, file: HubFile) -> Path:
        """The file by its name."""
        return self.folder / file.name

    def partial(self, file: HubFile) -> Path:
        """Where the Hub's library keeps what has come of a file."""
        target = self.folder / ".cache" / "huggingface" / "download" / file.name
        return target.with_name(f"{target.name}.{file.digest}.incomplete")

    def has(self, file: HubFile) -> bool:
        """A large file without a note of its version is known by its size only."""
        from huggingface_hub._local_folder import read_download_metadata

        if not _is_sound(self.target(file), file):
            return False
        noted = read_download_metadata(self.folder, file.name)
        if noted is not None:
            return noted.etag == file.digest
        return file.is_large or digest_of(self.target(file), file) == file.digest

    def place(self, file: HubFile) -> Path | None:
        """What differs may be the user's own work, or another checkpoint, and is put aside; only damage is replaced."""
        from huggingface_hub._local_folder import write_download_metadata

        target = self.target(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = _free_name(target) if target.exists() and not _is_damaged(target) else None
        if aside is not None:
            target.rename(aside)
        self.partial(file).replace(target)
        write_download_metadata(self.folder, file.name, self.listing.commit, file.digest)
        return aside

    def finish(self) -> tuple[Path, ...]:
        """Nothing is left to do."""
        return ()


def size_of(path: Path) -> int | None:
    """Bytes of a file, None where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def _is_sound(path: Path, file: HubFile) -> bool:
    """Whether a file of the listed size is there, and its header is one where weights are meant."""
    return size_of(path) == file.size and not (file.name.endswith(_WEIGHTS) and read_shard(path).fault)


def _is_damaged(path: Path) -> bool:
    """Whether these are weights that nobody can read."""
    return path.name.endswith(_WEIGHTS) and read_shard(path).fault is not None


def new_hash(file: HubFile) -> hashlib._Hash:
    """The hash whose hex digest is to be the file's."""
    if file.is_large:
        return hashlib.sha256()
    return hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)  # as Git names its blobs


def digest_of(path: Path, file: HubFile) -> str:
    """The digest of what is on the disk."""
    digest = new_hash(file)
    with path.open("rb") as content:
        while block := content.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.before-pull-{number}")).exists():
        number += 1
    return aside
