"""`pull`: fetch the checkpoint and the image."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO

import click

from ..errors import RefusedError
from ..finding import Finding
from ..pull.again import SETTINGS
from .options import SettingsCommand, settings_flags_for, settings_from
from .output import document, duration, notice, size
from .selection import json_flag

if TYPE_CHECKING:
    from ..lifecycle.fetch import PulledCheckpoint, PulledImage
    from ..settings.options import Settings
    from .progress import PlainObserver


@click.command(
    "pull",
    cls=SettingsCommand,
    epilog="Interrupted or cut off, the same command goes on where it stopped. A mirror: HF_ENDPOINT=https://MIRROR. "
    "A token: HF_TOKEN, or `hf auth login`.",
)
@settings_flags_for(*SETTINGS)
@click.option("--checkpoint-only", is_flag=True, help="Fetch the checkpoint, not the image.")
@click.option("--image-only", is_flag=True, help="Fetch the image, not the checkpoint.")
@json_flag
def command(*, checkpoint_only: bool, image_only: bool, as_json: bool, **flags: Any) -> None:
    """Fetch the checkpoint and the image.

    Fetches what is missing, shows how much and how long, checks it, and starts nothing.
    """
    from .progress import observer_for

    if checkpoint_only and image_only:
        raise click.UsageError("--checkpoint-only and --image-only exclude each other")
    settings = settings_from(flags).settings
    with observer_for(attached=False) as observer:
        image, checkpoint, failures = _fetch(settings, observer, checkpoint_only, image_only)
    if failures:
        _say(image, checkpoint, sys.stderr if as_json else sys.stdout)
        raise _together(failures)
    if as_json:
        document(
            {
                "checkpoint": checkpoint.to_json() if checkpoint else None,
                "image": image.to_json() if image else None,
            }
        )
        return
    _say(image, checkpoint, sys.stdout)


def _fetch(
    settings: Settings, observer: PlainObserver, checkpoint_only: bool, image_only: bool
) -> tuple[PulledImage | None, PulledCheckpoint | None, list[RefusedError]]:
    """Image and checkpoint, one whether or not the other can be had."""
    image, checkpoint, failures = None, None, []
    if not checkpoint_only:
        try:
            image = _image(settings, observer, *(["--image-only"] if image_only else []))
        except RefusedError as error:
            failures.append(error)
            if not image_only:
                observer.notice(f"{error.what}; going on with the checkpoint")
    if not image_only:
        try:
            checkpoint = _checkpoint(settings, observer, *(["--checkpoint-only"] if checkpoint_only else []))
        except RefusedError as error:
            failures.append(error)
    return image, checkpoint, failures


def _together(failures: list[RefusedError]) -> RefusedError:
    """One error that tells of all."""
    first = failures[0]
    if len(failures) == 1:
        return first
    findings = [Finding(error.code, "pull", "blocker", error.what, error.why, error.fix) for error in failures]
    return RefusedError(first.what, why=first.why, fix=first.fix, findings=findings)


def _image(settings: Settings, observer: PlainObserver, *asked: str) -> PulledImage | None:
    from ..lifecycle.fetch import pull_image_of

    image = pull_image_of(settings, observer, *asked)
    if image is None:
        what = (
            "a child process" if settings.runtime == "process" else "the rehearsal engine's image is built, not pulled"
        )
        notice(f"no image to fetch: {what}")
    return image


def _checkpoint(settings: Settings, observer: PlainObserver, *asked: str) -> PulledCheckpoint | None:
    from ..lifecycle.fetch import pull_checkpoint

    if settings.engine == "rehearsal":
        notice("no checkpoint to fetch: the rehearsal engine has no model")
        return None
    return pull_checkpoint(settings, observer, *asked)


def _say(image: PulledImage | None, checkpoint: PulledCheckpoint | None, stream: TextIO) -> None:
    if image is not None:
        _say_image(image, stream)
    if checkpoint is not None:
        _say_checkpoint(checkpoint, stream)


def _say_image(image: PulledImage, stream: TextIO) -> None:
    facts = image.facts
    came = f"pulled in {duration(image.seconds)}" if image.pulled else "already here"
    details = [facts.architecture, size(facts.size) if facts.size else "", facts.digest or facts.id]
    notice(f"image {image.reference}: {came} ({', '.join(filter(None, details))})", level="ok", stream=stream)


def _say_checkpoint(checkpoint: PulledCheckpoint, stream: TextIO) -> None:
    name = checkpoint.repository or str(checkpoint.path)
    checks = {
        "sha256": "what came is checked by SHA-256, the rest by size",
        "sizes": "every file has the size that the Hub lists",
        "headers": "the files' own headers agree",
    }[checkpoint.verified]
    came = (
        f"{size(checkpoint.downloaded)} fetched in {duration(checkpoint.seconds)}"
        if checkpoint.downloaded
        else "already here"
    )
    notice(f"checkpoint {name}: {came}, {size(checkpoint.bytes)} in all; {checks}", level="ok", stream=stream)
    stream.write(f"  path      {checkpoint.path}\n")
    if checkpoint.revision:
        stream.write(f"  revision  {checkpoint.revision}\n")
    stream.flush()
    if checkpoint.notice:
        notice(checkpoint.notice)
    if checkpoint.left_out:
        shown = ", ".join(checkpoint.left_out[:4]) + (", ..." if len(checkpoint.left_out) > 4 else "")
        notice(f"left out, since no engine reads them: {len(checkpoint.left_out)} files ({shown})")
