"""A chat template as text, and where it comes from."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ...errors import SettingsError

ContentFormat = Literal["string", "openai"]
"""How vLLM hands content over: each message's parts joined to one `string`, or a list of `openai` parts."""

BUILTIN: Final = ("step-audio-r1", "official")
"""The templates that come with this package, the default first."""

_SUFFIX: Final = ".jinja"


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A template's `source` text; `name` is a built-in's or the path as given, `path` the file it was read from."""

    name: str
    source: str
    path: Path | None = None


def load_template(name_or_path: str) -> ChatTemplate:
    """Read a built-in template by its name, or any other by its path (`./official` is a path).

    Raises:
        SettingsError: there is no such template, or it is not a readable UTF-8 file.
    """
    path = _builtin_path(name_or_path) if name_or_path in BUILTIN else Path(name_or_path).expanduser()
    try:
        return ChatTemplate(name_or_path, path.read_text(encoding="utf-8"), path.resolve())
    except (FileNotFoundError, NotADirectoryError):
        raise SettingsError(
            f"chat_template: there is no template {name_or_path!r}",
            why=f"It is neither a file nor one of {', '.join(BUILTIN)}.",
            fix=f"Use {_nearest(name_or_path, path)}",
        ) from None
    except OSError as error:
        raise SettingsError(
            f"chat_template: {name_or_path!r} cannot be read",
            why=f"{error.strerror or error}.",
            fix=f"Use {BUILTIN[0]}, or a file that you may read",
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"chat_template: {name_or_path!r} is not UTF-8 text",
            why=f"Byte {error.start} cannot be decoded.",
            fix="Save the template as UTF-8.",
        ) from error


def _builtin_path(name: str) -> Path:
    """The file of a built-in: inside the package in a wheel, beside it in a working tree."""
    package = Path(__file__).parents[2]
    packaged = package / "templates" / f"{name}{_SUFFIX}"
    return packaged if packaged.is_file() else package.parent / "templates" / f"{name}{_SUFFIX}"


def _nearest(name_or_path: str, path: Path) -> str:
    if names := difflib.get_close_matches(name_or_path, BUILTIN, n=1):
        return names[0]
    siblings = [sibling.name for sibling in path.parent.iterdir()] if path.parent.is_dir() else []
    if files := difflib.get_close_matches(path.name, siblings, n=1):
        return str(path.with_name(files[0]))
    return BUILTIN[0]
