"""The declarations read back: one `Option` a setting, for parsers, documentation and suggestions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from .options import Flag, Settings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

ENVIRONMENT_PREFIX = "STEPAUDIO_"


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as the outside sees it. `flag` is None where the command line has no flag for it."""

    name: str
    help: str
    default: Any
    choices: tuple[str, ...]
    is_switch: bool
    flag: Flag | None

    @property
    def flag_name(self) -> str:
        """The long flag, for example `--max-model-len`."""
        return "--" + self.name.replace("_", "-")

    @property
    def metavar(self) -> str:
        """What stands for the value in help and messages."""
        return "|".join(self.choices) or (self.flag.metavar if self.flag else "") or "TEXT"

    @property
    def variable(self) -> str:
        """The environment variable, for example `STEPAUDIO_MAX_MODEL_LEN`."""
        return ENVIRONMENT_PREFIX + self.name.upper()


def options() -> tuple[Option, ...]:
    """All settings, in the order of their declaration."""
    return tuple(_option(name, field) for name, field in Settings.model_fields.items())


def option(name: str) -> Option:
    """The declaration of one setting."""
    return _option(name, Settings.model_fields[name])


def _option(name: str, field: FieldInfo) -> Option:
    flag = next((item for item in field.metadata if isinstance(item, Flag)), None)
    choices = tuple(get_args(field.annotation)) if get_origin(field.annotation) is Literal else ()
    return Option(
        name=name,
        help=field.description or "",
        default=field.get_default(),
        choices=choices,
        is_switch=field.annotation is bool,
        flag=flag,
    )
