"""Profiles: settings for one kind of machine, each a commented YAML file."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ..errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of settings. `text` is the file as written, with its comments."""

    name: str
    summary: str
    settings: Mapping[str, Any]
    text: str


def profile_names() -> tuple[str, ...]:
    """The names of the profiles that ship."""
    folder = files(__package__) / "profiles"
    return tuple(sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml")))


def load_profile(name: str) -> Profile:
    """Read one profile.

    Raises:
        SettingsError: there is no profile of that name.
    """
    import yaml

    names = profile_names()
    if name not in names:
        from .wording import nearest

        raise SettingsError(
            f"there is no profile `{name}`" + nearest(name, names),
            why="profiles are " + ", ".join(names),
            fix="stepaudio-serve profiles list",
        )
    text = (files(__package__) / "profiles" / f"{name}.yaml").read_text("utf-8")
    data = yaml.safe_load(text)
    return Profile(name=name, summary=data["summary"], settings=data["settings"], text=text)
