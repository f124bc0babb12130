"""Profiles: settings for one kind of machine, each a commented YAML file, most with the machine's facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


SIZE_TOLERANCE = 0.1
"""By how much cards of one name differ: with the driver, and with memory that is kept for error correction."""


class SeenGpu(Protocol):
    """A GPU as far as matching needs it."""

    @property
    def name(self) -> str:
        """Its name, as the driver gives it."""
        ...

    @property
    def memory_total_mib(self) -> int | None:
        """Its memory, None where it is not known."""
        ...

    @property
    def mig(self) -> bool:
        """Whether it is in MIG mode: then programs compute on slices of it only."""
        ...


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of settings. `text` is the file as written, with its comments.

    `machine` holds the facts of the machine it is for, as a facts file does; empty where it is for no machine.
    `card` is how the names of that machine's GPUs begin. `caveat` says what nobody has tried there, or is empty.
    """

    name: str
    summary: str
    settings: Mapping[str, Any]
    text: str
    machine: Mapping[str, Any] = field(default_factory=dict)
    card: str = ""
    caveat: str = ""

    @property
    def memory_mib(self) -> int:
        """Memory of all its machine's GPUs."""
        return sum(gpu["memory_total_mib"] or 0 for gpu in self.machine.get("gpus", ()))


def profile_names() -> tuple[str, ...]:
    """The names of the profiles that ship."""
    folder = files(__package__) / "profiles"
    return tuple(sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml")))


@cache
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
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    data = yaml.load(text, Loader=loader)  # noqa: S506 - both are safe loaders
    return Profile(
        name=name,
        summary=data["summary"],
        settings=data["settings"],
        text=text,
        machine=data.get("machine", {}),
        card=data.get("card", ""),
        caveat=data.get("caveat", ""),
    )


def best_match(gpus: Sequence[SeenGpu]) -> str | None:
    """The profile made for as many GPUs of that name and size; None where none is. A suggestion, never applied."""
    return next((name for name in profile_names() if gpus and _is_for(load_profile(name), gpus)), None)


def _is_for(profile: Profile, gpus: Sequence[SeenGpu]) -> bool:
    """Laptops have GPUs whose names begin like those of larger cards: so the size counts too.

    No profile is made for slices of a GPU in MIG mode.
    """
    made_for = profile.machine.get("gpus", ())
    return len(made_for) == len(gpus) and all(
        not gpu.mig
        and gpu.name.startswith(profile.card)
        and abs((gpu.memory_total_mib or 0) - card["memory_total_mib"]) <= card["memory_total_mib"] * SIZE_TOLERANCE
        for gpu, card in zip(gpus, made_for, strict=True)
    )
