"""Where settings come from, in order of precedence: flag > environment > file > profile > default.

The source of each value is kept, so that an error can name it and `config show` can print it.
"""

from __future__ import annotations

import itertools
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from ..errors import SettingsError
from .declared import ENVIRONMENT_PREFIX, option, options
from .options import Settings, owned_flag
from .profiles import load_profile
from .wording import as_setting, example, in_its_place, nearest, wrong_value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

FILE_NAME = "stepaudio.yaml"
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
                f"{place}: the value of `{key}` cannot be read", why=why, fix=f"{key}: {example(option(key))}"
            ) from error
        given[key] = Given(value, Origin("file", place))
    return given


def _yaml_problem(error: Exception) -> str:
    """What a parser says, and on which line, without the text it quotes: that may be a key."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    unquoted = re.sub(r"(['\"])[^<'\"][^'\"]+\1", "...", " ".join(problem.split()))
    return f"line {mark.line + 1}: {unquoted}" if mark else unquoted


def _validate(merged: Mapping[str, Given]) -> Settings:
    try:
        settings = Settings.model_validate({name: given.value for name, given in merged.items()})
    except ValidationError as error:
        problems = list(dict.fromkeys(wrong_value(item, merged) for item in error.errors(include_url=False)))
        names = dict.fromkeys(str(item["loc"][0]) for item in error.errors(include_url=False) if item["loc"])
        fixes = [in_its_place(option(name), merged[name]) for name in names]
        raise SettingsError("\n".join(problems), fix="   ".join(fixes) or "unset one of them") from error
    for argument, after in itertools.zip_longest(settings.engine_args, settings.engine_args[1:], fillvalue=""):
        if owner := owned_flag(argument):
            flag = argument.partition("=")[0]
            place = merged["engine_args"].origin.place
            raise SettingsError(
                f"engine argument `{flag}` ({place}) contradicts the setting {owner}",
                why="the plan sets it; two values for one flag would leave it to chance which one counts",
                fix=f"{as_setting(option(owner), argument, after)}   (before the --)",
            )
    return settings
