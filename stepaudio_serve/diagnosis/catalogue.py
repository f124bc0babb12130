"""The catalogue of known failures, read and checked from `catalogue.yaml`, whose head explains the fields."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from string import Formatter
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

Severity = Literal["fatal", "notice", "request"]
Tells = Literal["cause", "symptom", "outcome"]
Section = Literal["container", "memory", "hardware", "model", "request"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One known failure: how a line of log gives it away, and what to tell about it."""

    id: str
    severity: Severity
    section: Section
    says: tuple[str, ...]
    cause: str
    fix: str
    source: str
    examples: tuple[str, ...]
    like: re.Pattern[str] | None = None
    near: tuple[str, ...] = ()
    tells: Tells = "cause"
    ahead: bool = False


@cache
def catalogue() -> tuple[Entry, ...]:
    """Return the entries in the order of the file: of two that recognise one line, the first is told."""
    from importlib import resources

    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = resources.files(__package__).joinpath("catalogue.yaml").read_text(encoding="utf-8")
    return entries(yaml.load(text, Loader=loader))  # noqa: S506 - both are safe loaders


@cache
def known_texts() -> tuple[str, ...]:
    """Return what lines must hold to be recognised at all."""
    return tuple(text for entry in catalogue() for text in entry.says)


def entries(items: list[dict[str, Any]]) -> tuple[Entry, ...]:
    """Return `items` as checked entries; raises ValueError that names the entry and what is wrong with it."""
    found = tuple(_entry(item) for item in items)
    ids = [entry.id for entry in found]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise ValueError(f"{', '.join(twice)}: in the catalogue more than once")
    return found


def _entry(item: Mapping[str, Any]) -> Entry:
    name = item.get("id", "an entry without id")
    try:
        entry = Entry(
            **{
                **item,
                "says": tuple(item["says"]),
                "examples": tuple(item["examples"]),
                "like": _regex(item.get("like")),
                "near": tuple(item.get("near", ())),
            }
        )
        _check(entry)
    except (KeyError, TypeError, ValueError, re.error) as error:
        raise ValueError(f"{name}: {error}") from error
    return entry


def _check(entry: Entry) -> None:
    if not entry.examples or not entry.says or not all(isinstance(text, str) and text for text in entry.says):
        raise ValueError("needs texts in `says` and at least one example")
    for field, allowed in (("severity", Severity), ("section", Section), ("tells", Tells)):
        if getattr(entry, field) not in get_args(allowed):
            raise ValueError(f"{field} is one of {', '.join(get_args(allowed))}")
    groups = entry.like.groupindex if entry.like else {}
    for text in (entry.cause, entry.fix):
        if unknown := {field for _, field, _, _ in Formatter().parse(text) if field is not None} - set(groups):
            raise ValueError(f"`like` has no group called {', '.join(sorted(unknown))}")


def _regex(pattern: str | None) -> re.Pattern[str] | None:
    return re.compile(pattern) if pattern else None
