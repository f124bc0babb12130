"""The `pull` that was asked for, for fixes that say to repeat it."""

from __future__ import annotations

import re
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import RefusedError
from ..settings.declared import options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..settings.options import Settings

SETTINGS = ("model", "models_dir", "revision", "engine", "engine_image", "image", "runtime")
"""The settings that `pull` goes by."""
_PULL = re.compile(r"stepaudio-serve pull(?: --(?:model|image) \S+)?")


def pull_command(settings: Settings, *more: str) -> str:
    """The `pull` with these settings, so far as they are not the defaults, and `more` flags."""
    given = {"model": settings.model, **settings.to_label()}
    words = ["stepaudio-serve", "pull", *more]
    for option in options():
        if option.flag is not None and option.name in SETTINGS and option.name in given:
            words += [option.flag_name, str(given[option.name])]
    return shlex.join(words)


@contextmanager
def repeating(command: str) -> Iterator[None]:
    """Within this block a fix that says `pull` says the whole `command`."""
    try:
        yield
    except RefusedError as error:
        error.fix = _PULL.sub(lambda _: command, error.fix)
        raise
