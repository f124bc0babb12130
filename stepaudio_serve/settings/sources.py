"""Where settings come from, in order of precedence: flag > environment > file > profile > default.

The source of each value is kept, so that an error can name it and `config show` can print it.
"""

from __future__ import annotations

import difflib
import itertools
import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from ..errors import SettingsError
from .declared import ENVIRONMENT_PREFIX, Option, option, options
from .options import Settings, owned_flag
from .profiles import load_profile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

FILE_NAME = "stepaudio.yaml"
LONGEST_SHOWN = 80  # characters of a wrong value
RESERVED_VARIABLES = ("STEPAUDIO_PROFILE", "STEPAUDIO_REQUIRE")
RESERVED_PREFIXES = ("STEPAUDIO_REHEARSAL_", "STEPAUDIO_GUARD_", "STEPAUDIO_TEST")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was set: the kind of source, and the very place (`--port`, `stepaudio.yaml:3`)."""

    source: Literal["flag", "environment", "file", "profile", "default"]
    place: str


@dataclass(frozen=True, slots=True)
class Given:
    """A raw value with its origin."""

    value: Any
    origin: Origin


@dataclass(frozen=True, slots=True)
class Resolved:
    """Settings with the origin of each, and notices for the user about what was seen and not used."""

    settings: Settings
    origins: Mapping[str, Origin]
    notices: tuple[str, ...] = ()


def resolve(
    flags: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    files: Sequence[Path] = (),
    profile: str | None = None,
    only: Collection[str] | None = None,
) -> Resolved:
    """Gather, merge and validate.

    `flags` maps setting names to values that were really given; `files` are in order of precedence,
    and those that do not exist are skipped. With `only` the other settings stay at their defaults, whatever
    they were set to.

    Raises:
        SettingsError: naming every wrong setting, where it came from, what is allowed and the nearest spelling.
    """
    environ = environ or {}
    profile = profile or environ.get("STEPAUDIO_PROFILE") or None
    layers = [
        {name: Given(value, Origin("flag", _flag_place(name))) for name, value in (flags or {}).items()},
        _from_environment(environ),
        *(from_file(path) for path in files if path.exists()),
        _from_profile(profile) if profile else {},
    ]
    merged: dict[str, Given] = {}
    for layer in layers:
        for name, given in layer.items():
            if only is None or name in only:
                merged.setdefault(name, given)
    settings = _validate(merged)
    default = Origin("default", "default")
    origins = {name: merged[name].origin if name in merged else default for name in Settings.model_fields}
    return Resolved(settings, MappingProxyType(origins), tuple(_notices(environ, origins)))


def default_files() -> tuple[Path, ...]:
    """`stepaudio.yaml` in the working folder, then the one in the user's configuration folder."""
    from platformdirs import user_config_path

    return Path(FILE_NAME), user_config_path("stepaudio-serve") / FILE_NAME


def _flag_place(name: str) -> str:
    return "after --" if name == "engine_args" else option(name).flag_name


def _from_environment(environ: Mapping[str, str]) -> dict[str, Given]:
    found = ((item.name, item.variable) for item in options())
    return {
        name: Given(environ[variable], Origin("environment", variable))
        for name, variable in found
        if environ.get(variable, "") != ""
    }


def _notices(environ: Mapping[str, str], origins: Mapping[str, Origin]) -> Iterable[str]:
    if origins["api_key"].source == "flag":
        yield "a key given as --api-key can be read by every user of this machine: use --api-key-file"
    known = [item.variable for item in options()]
    for variable in sorted(environ):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in known or variable in RESERVED_VARIABLES:
            continue
        if variable.startswith(RESERVED_PREFIXES):
            continue
        yield f"the environment variable {variable} is not a setting and was ignored" + nearest(variable, known)


def _from_profile(name: str) -> dict[str, Given]:
    profile = load_profile(name)
    return {key: Given(value, Origin("profile", name)) for key, value in profile.settings.items()}


def from_file(path: Path) -> dict[str, Given]:
    """Read one settings file; every key knows its line.

    Raises:
        SettingsError: the file is not a YAML mapping, or has an unknown or doubled key.
    """
    import yaml

    try:
        node = yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not valid YAML", why=_yaml_problem(error), fix=f"edit {path}") from error
    except UnicodeDecodeError as error:
        why = f"it is not UTF-8 text (byte {error.start})"
        raise SettingsError(f"{path} cannot be read", why=why, fix="save it as UTF-8") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise SettingsError(f"{path} cannot be read", why=why, fix=f"ls -ld {shlex.quote(str(path))}") from error
    if node is None or node.tag == "tag:yaml.org,2002:null":
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise SettingsError(f"{path} does not hold settings", why="its top level is not a mapping", fix="port: 9999")
    known = list(Settings.model_fields)
    given: dict[str, Given] = {}
    loader = yaml.SafeLoader("")
    for key_node, value_node in node.value:
        key = str(key_node.value)
        place = f"{path}:{key_node.start_mark.line + 1}"
        if key not in known:
            raise SettingsError(
                f"{place}: unknown setting `{key}`" + nearest(key.replace("-", "_"), known),
                why="every key of the file is a setting",
                fix="stepaudio-serve config schema",
            )
        if key in given:
            raise SettingsError(f"{place}: `{key}` is set twice", why=f"first in {given[key].origin.place}")
        try:
            value = loader.construct_object(value_node, deep=True)
        except (yaml.YAMLError, ValueError, TypeError) as error:
            why = "it is not what its YAML tag or form says" if key == "api_key" else _yaml_problem(error)
            raise SettingsError(
                f"{place}: the value of `{key}` cannot be read", why=why, fix=f"{key}: {_example(option(key))}"
            ) from error
        given[key] = Given(value, Origin("file", place))
    return given


def _yaml_problem(error: Exception) -> str:
    """What a parser says, and on which line, without the text it quotes: that may be a key."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    unquoted = re.sub(r"(['\"])[^<'\"][^'\"]+\1", "...", " ".join(problem.split()))
    return f"line {mark.line + 1}: {unquoted}" if mark else unquoted


def nearest(word: str, known: Iterable[str]) -> str:
    """` - did you mean X?`, or nothing when no known word is close."""
    close = _closest(word, known)
    return f" - did you mean {close}?" if close else ""


def _closest(word: str, known: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), "")


def _validate(merged: Mapping[str, Given]) -> Settings:
    try:
        settings = Settings.model_validate({name: given.value for name, given in merged.items()})
    except ValidationError as error:
        problems = list(dict.fromkeys(_problem(item, merged) for item in error.errors(include_url=False)))
        names = dict.fromkeys(str(item["loc"][0]) for item in error.errors(include_url=False) if item["loc"])
        fixes = [_fix(option(name), merged[name]) for name in names]
        raise SettingsError("\n".join(problems), fix="   ".join(fixes) or "unset one of them") from error
    for argument, after in itertools.zip_longest(settings.engine_args, settings.engine_args[1:], fillvalue=""):
        if owner := owned_flag(argument):
            flag, _, value = argument.partition("=")
            value = value or ("" if after.startswith("-") else after)
            place = merged["engine_args"].origin.place
            raise SettingsError(
                f"engine argument `{flag}` ({place}) contradicts the setting {owner}",
                why="the plan sets it; two values for one flag would leave it to chance which one counts",
                fix=f"{_as_flag(option(owner), value)}   (before the --)",
            )
    return settings


def _as_flag(declared: Option, value: str) -> str:
    """How the command line says a setting; a secret's value is never repeated."""
    if declared.is_switch:
        return declared.flag_name
    secret = declared.name in {"api_key", "api_key_file"}
    return f"{declared.flag_name} {shlex.quote(value) if value and not secret else _example(declared)}"


def _fix(declared: Option, given: Given) -> str:
    """The wrong setting as it could be written where it was written: the nearest spelling, else an example."""
    value = _closest(given.value, _words(declared.name)) if isinstance(given.value, str) else ""
    value = value or _example(declared)
    if declared.name == "engine_args":
        return "-- --enforce-eager"
    if given.origin.source == "flag":
        return declared.flag_name if declared.is_switch else f"{declared.flag_name} {value}"
    return f"{declared.variable}={value}" if given.origin.source == "environment" else f"{declared.name}: {value}"


def _example(declared: Option) -> str:
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


def _problem(item: Any, merged: Mapping[str, Given]) -> str:
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
