"""Wrong settings in words: what is allowed, what was probably meant, and what to write instead."""

from __future__ import annotations

import difflib
import shlex
from functools import cache
from typing import TYPE_CHECKING, Any

from .declared import Option, option
from .options import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .sources import Given

LONGEST_SHOWN = 80
"""Characters of a wrong value."""


def nearest(word: str, known: Iterable[str]) -> str:
    """` - did you mean X?`, or nothing when no known word is close."""
    close = _closest(word, known)
    return f" - did you mean {close}?" if close else ""


def _closest(word: str, known: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), "")


def as_setting(declared: Option, argument: str, after: str) -> str:
    """An engine's `argument` (and the word `after` it) as the flag of the setting that owns it; no key is repeated."""
    flag, _, value = argument.partition("=")
    negated = flag.startswith(("--no-", "--no_"))
    if declared.is_switch:
        return f"--no-{declared.flag_name[2:]}" if negated else declared.flag_name
    value = "off" if negated else value or ("" if after.startswith("-") else after)
    if not value or flag in {"--api-key", "--uds"}:  # a secret; another kind of value
        value = example(declared)
    return f"{declared.flag_name} {shlex.quote(value)}"


def in_its_place(declared: Option, given: Given) -> str:
    """The wrong setting as it could be written where it was written: the nearest spelling, else an example."""
    value = _closest(given.value, _words(declared.name)) if isinstance(given.value, str) else ""
    value = value or example(declared)
    if declared.name == "engine_args":
        return "-- --enforce-eager"
    if given.origin.source == "flag":
        return declared.flag_name if declared.is_switch else f"{declared.flag_name} {value}"
    return f"{declared.variable}={value}" if given.origin.source == "environment" else f"{declared.name}: {value}"


def example(declared: Option) -> str:
    """A value that is allowed, or what stands for one where there is no default."""
    if declared.is_switch:
        return "on" if declared.default else "off"
    examples = _schema()[declared.name].get("examples", ())
    return str(next(iter(examples), declared.default or declared.metavar))


@cache
def _schema() -> dict[str, Any]:
    return dict(Settings.model_json_schema()["properties"])


def _kinds(name: str) -> list[Mapping[str, Any]]:
    """The kinds of value that a setting takes, as its schema tells them."""
    schema = _schema()[name]
    return [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]


def _words(name: str) -> list[str]:
    """The words that a setting takes, and examples of its values."""
    words = [word for kind in _kinds(name) for word in kind.get("enum", [kind.get("const")]) if word]
    return [*_schema()[name].get("examples", ()), *words]


def wrong_value(item: Any, merged: Mapping[str, Given]) -> str:
    """One of pydantic's complaints: the value, where it was set, what is allowed and the nearest spelling."""
    if not item["loc"]:  # of the settings together: the two keys
        places = " and ".join(merged[name].origin.place for name in ("api_key", "api_key_file"))
        return f"{item['ctx']['error']} (from {places})"
    name = str(item["loc"][0])
    value, origin = merged[name].value, merged[name].origin
    said = f" = {'********' if name == 'api_key' else _short(repr(value))}" if value is not None else " is empty"
    suggestion = nearest(value, _words(name)) if isinstance(value, str) else ""
    return f"{name}{said} ({origin.place}): {_allowed(option(name), item)}{suggestion}"


def _allowed(declared: Option, item: Mapping[str, Any]) -> str:
    if declared.choices:
        return "allowed are " + ", ".join(declared.choices)
    if declared.is_switch:
        return "allowed are on and off"
    reason = f"{item['ctx']['error']}; " if item["type"] == "value_error" else ""
    if examples := _schema()[declared.name].get("examples"):
        return f"{reason}allowed: {declared.metavar}, for example " + ", ".join(examples)
    return f"{reason}allowed: " + " or ".join(map(_kind, _kinds(declared.name)))


def _kind(part: Mapping[str, Any]) -> str:
    if "const" in part:
        return str(part["const"])
    if part.get("type") == "array":
        return "words, as on a command line"
    if part.get("type") not in {"integer", "number"}:
        return "text that is not empty"
    noun = "a whole number" if part["type"] == "integer" else "a number"
    low = [f"from {part['minimum']:g}"] if "minimum" in part else []
    low += [f"above {part['exclusiveMinimum']:g}"] if "exclusiveMinimum" in part else []
    high = [f"up to {part['maximum']:.0f}"] if "maximum" in part else []
    return " ".join([noun, *low, *high])


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."
