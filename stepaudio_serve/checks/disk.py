"""Room on the disks for what is still to be fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..finding import Finding
from .amounts import gigabytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..facts.gather import Facts
    from ..plan.plan import Plan
    from ..settings.options import Settings

LITTLE = 40_000_000_000
"""Bytes; below that a fetch of unknown size deserves a warning. An assumption: the NVFP4 checkpoint has 22 GB."""


def check_disks(settings: Settings, facts: Facts, plan: Plan) -> Iterator[Finding]:
    """Free space against what is missing."""
    if facts.elsewhere:
        return
    models = next((disk for disk in facts.host.disks if disk.purpose == "models"), None)
    if models is not None and settings.engine == "vllm":
        missing = facts.checkpoint.weights_bytes if facts.checkpoint.published else None
        fetched = facts.checkpoint.is_repository and not facts.checkpoint.exists
        yield _room(
            "disk-models",
            f"the checkpoint {facts.checkpoint.requested}" if fetched else "",
            str(models.path),
            models.free,
            missing,
            "--models-dir DIR   (on a larger disk)",
        )
    engine = facts.engine
    if settings.runtime == "docker" and engine is not None and engine.storage_free is not None:
        fetched = facts.image_looked_for and facts.image is None
        yield _room(
            "disk-images",
            f"the image {plan.image}" if fetched else "",
            engine.storage,
            engine.storage_free,
            None,
            "docker system df && docker image prune   # or move Docker's data-root to a larger disk",
        )


def _room(identity: str, fetched: str, place: str, free: int, size: int | None, fix: str) -> Finding:
    """`fetched` is what will be put there, empty for nothing; `size` in bytes, None where it is not known."""
    there = f"{gigabytes(free)} free in {place}"
    if not fetched:
        return Finding(identity, "disk", "ok", there)
    if size is not None and free < size:
        what = f"{there} is too little for {fetched}"
        return Finding(identity, "disk", "blocker", what, f"it has {gigabytes(size)}", fix)
    if size is None and free < LITTLE:
        what = f"{there} may be too little for {fetched}"
        return Finding(identity, "disk", "warning", what, "how large it is is not known before it is fetched", fix)
    if size is None:
        what = f"{there}; whether that is enough for {fetched} is not known"
        return Finding(identity, "disk", "note", what, "how large it is is not known before it is fetched")
    return Finding(identity, "disk", "ok", f"{there}, {gigabytes(size)} are to be fetched")
