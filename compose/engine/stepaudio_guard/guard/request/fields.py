"""Which fields a request may have, of which type and within which bounds; the rules are data, in fields.json."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..refusal import bad_request
from .json_body import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..config import Limits
    from ..refusal import RefusedError

RULES_FILE = Path(__file__).with_name("fields.json")


@dataclass(frozen=True, slots=True)
class Field:
    """What one field may hold. `type` is a name from TYPES, or two with "or" between them.

    Bounds of lists of numbers or strings hold for their items. A `maximum` or `max_items` that is a word names one
    of the Limits.
    """

    type: str
    minimum: float | None = None
    above: float | None = None
    maximum: float | str | None = None
    min_length: int = 0
    max_length: int | None = None
    min_items: int = 0
    max_items: int | str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a field is turned away, and the values of it that change nothing and therefore are not."""

    why: str
    harmless: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """The fields of one kind of object: those that pass, those left out with a reason, those refused."""

    fields: Mapping[str, Field]
    dropped: Mapping[str, str]
    refused: Mapping[str, Refused]


def _is_integer(value: Any) -> bool:
    return not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))


_KINDS: Mapping[str, Callable[[Any], bool]] = MappingProxyType(
    {
        "string": lambda value: isinstance(value, str),
        "strings": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
        "integer": _is_integer,
        "integers": lambda value: isinstance(value, list) and all(map(_is_integer, value)),
        "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
        "boolean": lambda value: isinstance(value, bool),
        "list": lambda value: isinstance(value, list),
        "object": lambda value: isinstance(value, dict),
    }
)
TYPES: Mapping[str, str] = MappingProxyType(
    {
        "string": "a string",
        "strings": "a list of strings",
        "integer": "a whole number",
        "integers": "a list of whole numbers",
        "number": "a number",
        "boolean": "true or false",
        "list": "a list",
        "object": "an object",
    }
)


def route_rules(path: str) -> Rules:
    """The rules of the JSON route `path`."""
    return _rules()[path]


def message_rules() -> Rules:
    """The rules of one message of a conversation."""
    return _rules()["message"]


def check_fields(
    value: Mapping[str, Any], rules: Rules, limits: Limits, *, inside: str | None = None
) -> dict[str, Any]:
    """The fields of `value` that pass; null means that a field is not there.

    Raises RefusedError, naming the field (after `inside`), where one is unknown, refused, of the wrong type or out of
    bounds.
    """
    passed: dict[str, Any] = {}
    for name, item in value.items():
        param = name if inside is None else f"{inside}.{name}"
        if name in rules.fields:
            if item is not None:
                passed[name] = check_value(item, rules.fields[name], param, limits)
        elif name in rules.refused:
            refused = rules.refused[name]
            if item is not None and not any(_same(item, harmless) for harmless in refused.harmless):
                raise bad_request("unsupported_field", f"{param} is not taken here: {refused.why}.", param)
        elif name not in rules.dropped:
            raise _unknown(name, rules, param)
    return passed


def check_value(value: Any, field: Field, param: str, limits: Limits) -> Any:
    """`value`, whole numbers as such. Raises RefusedError where `field` does not allow it."""
    kinds = field.type.split(" or ")
    if not any(_KINDS[kind](value) for kind in kinds):
        words = " or ".join(TYPES[kind] for kind in kinds)
        raise bad_request("invalid_type", f"{param} must be {words}, not {describe(value)}.", param)
    if isinstance(value, list):
        _check_count(value, field, param, limits)
    if not {"list", "object"} & set(kinds) or isinstance(value, str):
        for item in value if isinstance(value, list) else [value]:
            _check_bounds(item, field, param, limits)
    if "integers" in kinds:
        return [int(item) for item in value]
    return int(value) if "integer" in kinds else value


def _check_count(value: list[Any], field: Field, param: str, limits: Limits) -> None:
    most = _bound(field.max_items, limits)
    if len(value) < field.min_items:
        raise _out_of_bounds(f"{param} must hold at least {field.min_items}, and holds {len(value)}.", param)
    if most is not None and len(value) > most:
        raise _out_of_bounds(f"{param} may hold at most {most:g}, and holds {len(value)}.", param)


def _check_bounds(value: str | float, field: Field, param: str, limits: Limits) -> None:
    if isinstance(value, str):
        if len(value) < field.min_length:
            raise _out_of_bounds(f"{param} must not be empty.", param)
        if field.max_length is not None and len(value) > field.max_length:
            raise _out_of_bounds(
                f"{param} may have {field.max_length} characters at most, and has {len(value)}.", param
            )
        return
    most = _bound(field.maximum, limits)
    if field.minimum is not None and value < field.minimum:
        raise _out_of_bounds(f"{param} must be at least {field.minimum}, and is {value}.", param)
    if field.above is not None and value <= field.above:
        raise _out_of_bounds(f"{param} must be above {field.above}, and is {value}.", param)
    if most is not None and value > most:
        raise _out_of_bounds(f"{param} must be at most {most}, and is {value}.", param)


def _bound(bound: float | str | None, limits: Limits) -> float | None:
    if isinstance(bound, str):
        named: float | None = getattr(limits, bound)
        return named
    return bound


def _same(value: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1."""
    return value == other and isinstance(value, bool) is isinstance(other, bool)


def _unknown(name: str, rules: Rules, param: str) -> RefusedError:
    near = difflib.get_close_matches(name[:64], rules.fields, n=2, cutoff=0.7)
    advice = f"Did you mean {' or '.join(near)}?" if near else f"Known are: {', '.join(sorted(rules.fields))}."
    shown = name if len(name) <= 64 else f"{name[:61]}..."
    return bad_request(
        "unknown_field",
        f"{shown!r} is not a field that this server knows, and what it does not know it does not pass on to the "
        f"engine. {advice} Otherwise leave it out.",
        param[:128],
    )


def _out_of_bounds(message: str, param: str) -> RefusedError:
    return bad_request("out_of_bounds", message, param)


@cache
def _rules() -> Mapping[str, Rules]:
    return read_rules(json.loads(RULES_FILE.read_text(encoding="utf-8")))


def read_rules(data: Mapping[str, Any]) -> Mapping[str, Rules]:
    """The rules of each route, and those of a `message`, from the shape of fields.json.

    Raises KeyError, TypeError or ValueError where the data has another shape.
    """
    groups = {name: _fields(group) for name, group in data["groups"].items()}
    dropped, refused = dict(data["dropped"]), _refused(data["refused"])
    rules: dict[str, Rules] = {}
    for path, route in data["routes"].items():
        fields: dict[str, Field] = {}
        for more in (*(groups[name] for name in route["groups"]), _fields(route["fields"])):
            fields.update(more)
        rules[path] = Rules(fields, dropped, refused)
    message = data["message"]
    rules["message"] = Rules(_fields(message["fields"]), dict(message["dropped"]), _refused(message["refused"]))
    return MappingProxyType(rules)


def _fields(data: Mapping[str, Any]) -> dict[str, Field]:
    fields = {name: Field(**values) for name, values in data.items()}
    for name, field in fields.items():
        if unknown := [kind for kind in field.type.split(" or ") if kind not in TYPES]:
            raise ValueError(f"the type of {name} is {unknown}; allowed are {', '.join(TYPES)}")
    return fields


def _refused(data: Mapping[str, Any]) -> dict[str, Refused]:
    return {name: Refused(entry["why"], tuple(entry.get("harmless", ()))) for name, entry in data.items()}
