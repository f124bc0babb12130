"""Fixes as commands for the deployment at hand, to be pasted as they are."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..settings.declared import options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..diagnosis import Diagnosis
    from ..runtime.deployment import Deployment

_NAMED = re.compile(r"stepaudio-serve (?:restart|down|wait|logs)\b")
_UP = re.compile(r"stepaudio-serve up\b")


def up_command(settings: Mapping[str, Any], *more: str, **changes: object) -> str:
    """The `up` that gives these settings (as a label holds them) with some changed; the key stays unsaid."""
    kept = {**settings, **changes}
    engine_args = kept.pop("engine_args", ())
    words = ["stepaudio-serve", "up", *more, *_flags(kept), *(["--", *engine_args] if engine_args else ())]
    return shlex.join(words)


def named(diagnosis: Diagnosis, deployment: Deployment) -> Diagnosis:
    """The diagnosis with the deployment's name and settings in the commands of its fix."""
    fix = _NAMED.sub(lambda command: f"{command[0]} {deployment.name}", diagnosis.fix)
    flags = shlex.join(["stepaudio-serve", "up", *_flags(deployment.settings)])
    return replace(diagnosis, fix=_UP.sub(lambda _: flags, fix))


def _flags(settings: Mapping[str, Any]) -> list[str]:
    words = ["--profile", "model-card"] if settings.get("recipe") == "model-card" else []
    for option in options():
        if option.flag is None or option.name not in settings:
            continue
        value = settings[option.name]
        if option.is_switch:
            words.append(option.flag_name if value else f"--no-{option.flag_name[2:]}")
        else:
            words += [option.flag_name, f"{value:g}" if isinstance(value, float) else str(value)]
    return words
