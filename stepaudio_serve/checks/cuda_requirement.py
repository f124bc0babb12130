"""What an image asks of the driver: NVIDIA's `NVIDIA_REQUIRE_*` variables.

Their language, by the user guide of the NVIDIA Container Toolkit ("Constraints"): constraints between spaces are
alternatives, those between commas must all hold; each is `cuda`, `driver`, `arch` or `brand`, a comparison and a value.
The toolkit refuses to start a container whose image asks for more than the machine has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..plan.versions import version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_CONSTRAINT = re.compile(r"(?P<name>cuda|driver|arch|brand)(?P<compare>>=|<=|!=|=|<|>)(?P<value>[^<>=!]+)$")


@dataclass(frozen=True, slots=True)
class Offer:
    """What the machine has; empty where it is not known. `cuda` is the newest version that the driver supports."""

    cuda: str = ""
    driver: str = ""
    arch: str = ""
    brand: str = ""


def requirements(environment: Mapping[str, str]) -> tuple[str, ...]:
    """What an image asks for, in its own words; nothing where it says that it is not to be checked."""
    if environment.get("NVIDIA_DISABLE_REQUIRE", "").lower() in {"1", "true"}:
        return ()
    return tuple(text for name, text in sorted(environment.items()) if name.startswith("NVIDIA_REQUIRE_") and text)


def satisfied(requirement: str, offer: Offer) -> bool | None:
    """Whether a machine has what is asked for; None where that cannot be told."""
    return _any(_all(_holds(term, offer) for term in group.split(",")) for group in requirement.split())


def wanted_cuda(requirement: str) -> str:
    """The CUDA version that would do, or empty where none is named."""
    named = [value for name, compare, value in _constraints(requirement) if name == "cuda" and compare == ">="]
    return min(named, key=version, default="")


def _constraints(requirement: str) -> Iterator[tuple[str, str, str]]:
    for term in re.split(r"[\s,]+", requirement):
        if found := _CONSTRAINT.match(term):
            yield found["name"], found["compare"], found["value"]


def _holds(term: str, offer: Offer) -> bool | None:
    found = _CONSTRAINT.match(term)
    mine = getattr(offer, found["name"]) if found else ""
    if found is None or not mine:
        return None
    if found["name"] == "brand":
        same = _plain(mine) == _plain(found["value"])
        return {"=": same, "!=": not same}.get(found["compare"])
    one, other = _padded(version(mine), version(found["value"]))
    return {
        ">=": one >= other,
        "<=": one <= other,
        "!=": one != other,
        "=": one == other,
        "<": one < other,
        ">": one > other,
    }[found["compare"]]


def _padded(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    length = max(len(one), len(other))
    return one + (0,) * (length - len(one)), other + (0,) * (length - len(other))


def _plain(brand: str) -> str:
    """`GeForce RTX` and `geforcertx` are one brand."""
    return re.sub(r"[^a-z0-9]", "", brand.lower())


def _any(answers: Iterable[bool | None]) -> bool | None:
    given = list(answers)
    return True if True in given else None if None in given else False


def _all(answers: Iterable[bool | None]) -> bool | None:
    given = list(answers)
    return False if False in given else None if None in given else True
