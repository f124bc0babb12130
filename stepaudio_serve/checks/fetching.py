"""The command that brings a checkpoint to where it is looked for."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..facts.gather import Facts
    from ..settings.options import Settings


def pull_command(settings: Settings, facts: Facts) -> str:
    """`pull`, into a models folder where one was asked for or holds a broken one, else into the Hub's cache."""
    checkpoint = facts.checkpoint
    folder = settings.models_dir
    if (
        folder is None
        and checkpoint.exists
        and not checkpoint.inside
        and checkpoint.path.is_relative_to(facts.folders.models)
    ):
        folder = facts.folders.models
    words = ["stepaudio-serve", "pull", "--model", checkpoint.requested]
    words += ["--revision", settings.revision] if settings.revision else []
    words += ["--models-dir", str(folder)] if folder else []
    return shlex.join(words)
