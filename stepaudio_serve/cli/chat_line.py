"""What a line typed in `chat` means: a command, files to attach, or words for the model."""

from __future__ import annotations

import difflib
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from ..errors import SettingsError
from .ask import AUDIO_ENDINGS

COMMANDS = {
    "/audio": ("FILE", "attach a sound to the next question"),
    "/mic": ("[SECONDS]", "record one, until Enter"),
    "/task": ("NAME", "ask what a task asks; without a name: list them"),
    "/system": ("TEXT", "set the system prompt; without a text: none"),
    "/thinking": ("on|off", "show the thinking or the answer only"),
    "/retry": ("", "ask the last question again"),
    "/clear": ("", "begin anew; the system prompt stays"),
    "/save": ("FILE", "write the conversation, as .json or .md"),
    "/help": ("", "this list"),
    "/bye": ("", "end, as Ctrl-D does"),
}
"""Each command with its argument and the line that /help shows."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command; `argument` is the rest of its line, without white space around it."""

    name: str
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Attach:
    """Existing files, typed or dragged into the terminal."""

    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """Something to say to the model."""

    text: str


Line: TypeAlias = Command | Attach | Words


def understand(line: str) -> Line | None:
    """What a line means; None for an empty one.

    One that begins with a slash and is no file is a command, known or not.

    Raises:
        SettingsError: it names sounds only, and one of them is not there.
    """
    text = line.strip()
    if not text:
        return None
    name, _, rest = text.partition(" ")
    if name in COMMANDS:
        return Command(name, rest.strip())
    if paths := files_named(text):
        return Attach(paths)
    if name.startswith("/"):
        return Command(name, rest.strip())
    _refuse_missing(text)
    return Words(text)


def _refuse_missing(text: str) -> None:
    """Raises SettingsError where each word ends as a sound's name does: a mistyped name is no question."""
    try:
        words = shlex.split(text)
    except ValueError:
        return
    paths = [_path(word) or Path(word) for word in words]
    if "\n" in text or not all(path.suffix.lower() in AUDIO_ENDINGS for path in paths):
        return
    for path in paths:
        if not _is_file(path):
            there = _sounds_in(path.parent)
            near = difflib.get_close_matches(path.name, there, n=1)
            meant = shlex.quote(str(path.with_name(near[0]))) if near else "FILE"
            raise SettingsError(
                f"there is no file {path}", why=f"not in {path.parent.absolute()}", fix=f"/audio {meant}"
            )


def _sounds_in(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir() if path.suffix.lower() in AUDIO_ENDINGS]
    except (OSError, ValueError):
        return []


def files_named(text: str) -> tuple[Path, ...]:
    """The existing files that a text names, as it stands or as a shell would read it; none where it says more."""
    if "\n" in text:
        return ()
    if (path := _path(text)) and _is_file(path):
        return (path,)
    try:
        paths = [_path(word) for word in shlex.split(text)]
    except ValueError:  # a quotation that does not end: an apostrophe
        return ()
    found = tuple(path for path in paths if path and _is_file(path))
    return found if len(found) == len(paths) else ()


def file_named(text: str) -> Path:
    """The one file that an argument names, there or not."""
    if found := files_named(text):
        return found[0]
    try:
        words = shlex.split(text)
    except ValueError:
        words = []
    return _path(words[0] if len(words) == 1 else text) or Path(text)


def _path(word: str) -> Path | None:
    if word.startswith("file://"):
        word = unquote(urlsplit(word).path)
    try:
        return Path(word).expanduser()
    except RuntimeError:  # ~nobody
        return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a sentence longer than a file's name may be; a NUL
        return False
