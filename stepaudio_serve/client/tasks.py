"""Tasks: what is asked of a sound under a name, each a YAML file that anybody can read, change or add to.

Those that ship are in `tasks/`; files of the user's own folder take their place or stand beside them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic_core import ErrorDetails

Joining: TypeAlias = Literal["transcript", "summary", "list"]

_BLANK = re.compile(r"\{(\w+)\}")
_BLANKS = {"language", "to", "question"}
NEEDED = "name, summary, prompt, join"
"""The keys that every task has."""


class Task(BaseModel):
    """What is asked, and how the answers about the parts of longer audio become one.

    In the texts `{language}` stands for the language that is spoken, `{to}` for the one to translate into, and
    `{question}` for the user's own words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    summary: str = Field(min_length=1)
    """One line, for the list of tasks."""

    prompt: str = Field(min_length=1)
    """What is asked where all the audio fits into one request."""

    in_language: str = ""
    """Added where the user says which language is spoken; empty where that makes no difference."""

    to: str | None = None
    """The language to translate into where the user names none; None for a task that does not translate."""

    join: Joining
    """`transcript`: the words of the parts, spliced where the parts overlap. `summary`: one answer made of the
    answers, which are not shown. `list`: the answers one after another, then one made of them."""

    part: str = ""
    """What is asked of each part of longer audio; the prompt where it is empty."""

    whole: str = ""
    """What is asked of the answers to make one of them; needed for `summary` and `list`."""

    nothing: str = ""
    """The answer that says that there was nothing to answer; it is left out of a transcript."""

    window_seconds: float | None = Field(default=None, ge=60, le=1200)
    """The longest part of longer audio; None for as much as a request holds."""

    answer_tokens_per_second: float = Field(default=0, ge=0, le=25)
    """How much longer an answer gets with each second of audio, in tokens."""

    @field_validator("prompt", "part", "whole", "in_language")
    @classmethod
    def _known_blanks(cls, text: str) -> str:
        unknown = set(_BLANK.findall(text)) - _BLANKS
        if unknown:
            raise ValueError(f"{{{min(unknown)}}} is none of {', '.join(f'{{{name}}}' for name in sorted(_BLANKS))}")
        return text.strip()

    @model_validator(mode="after")
    def _whole_where_needed(self) -> Task:
        if self.join != "transcript" and not self.whole:
            raise ValueError(f"join: {self.join} needs a text `whole`, which makes one answer of those about the parts")
        if self.to is None and "{to}" in self.prompt + self.part + self.whole:
            raise ValueError("{to} needs a key `to`, the language where none is named")
        return self


@dataclass(frozen=True, slots=True)
class Asked:
    """A task with what the user said filled in: the texts as they are sent.

    `together` tells that several sounds are one question, not one each.
    """

    task: Task
    prompt: str
    part: str
    whole: str
    together: bool = False


def prepare(task: Task, *, more: str = "", language: str | None = None, to: str | None = None) -> Asked:
    """Fill in a task; `more` are the user's own words, added to its text.

    Raises `SettingsError` for a language that the task has no use for.
    """
    if to and task.to is None:
        raise SettingsError(f"the task `{task.name}` does not translate", fix="--task translate --to ...")
    if language and not task.in_language:
        raise SettingsError(
            f"the task `{task.name}` has no use for a language that is spoken", fix="leave --language out"
        )
    words = {"language": language or "", "to": to or task.to or "", "question": ""}
    hint = task.in_language if language else ""
    asked = _filled("\n".join(filter(None, (task.prompt, hint))), words)
    part = _filled("\n".join(filter(None, (task.part or task.prompt, hint))), words)
    also = f"\n\n{more}" if more else ""
    return Asked(task, asked + also, part + also, _filled(task.whole, words) + (also if task.whole else ""))


def question(words: str) -> Asked:
    """A question in the user's own words."""
    task = _parse(Path(__file__).with_name("question.yaml").read_text("utf-8"), "question.yaml")
    blanks = {"question": words}
    return Asked(task, words, _filled(task.part, blanks), _filled(task.whole, blanks), together=True)


def own_folder() -> Path:
    """Where the user's own tasks are."""
    from platformdirs import user_config_path

    return user_config_path("stepaudio-serve") / "tasks"


def task_names(folder: Path | None = None) -> list[str]:
    """The names of all tasks, of those in the user's own folder too."""
    return sorted(_files(folder or own_folder()))


def all_tasks(folder: Path | None = None, *, on_wrong: Callable[[SettingsError], object] | None = None) -> list[Task]:
    """All tasks; a file that holds none is told to `on_wrong` and left out.

    Raises `SettingsError` for such a file where nobody is told.
    """

    def load(name: str) -> Task | None:
        try:
            return load_task(name, folder)
        except SettingsError as error:
            if on_wrong is None:
                raise
            on_wrong(error)
            return None

    return [task for name in task_names(folder) if (task := load(name))]


def load_task(name: str, folder: Path | None = None) -> Task:
    """Read one task; the user's own comes first.

    Raises `SettingsError` when there is none of that name, or its file is wrong.
    """
    folder = folder or own_folder()
    found = _files(folder)
    if name not in found:
        raise SettingsError(
            f"there is no task `{name}`",
            why="tasks are " + ", ".join(sorted(found)),
            fix=f"stepaudio-serve ask --task {sorted(found)[0]} FILE, or write {folder / name}.yaml",
        )
    place = found[name]
    try:
        text = place.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{place} cannot be read", why="it is not UTF-8", fix=f"edit {place}") from error
    except OSError as error:
        raise SettingsError(f"{place} cannot be read", why=error.strerror or str(error)) from error
    task = _parse(text, str(place))
    if task.name != name:
        raise SettingsError(
            f"{place}: its name is `{task.name}`", why="a task is called as its file", fix=f"name: {name}"
        )
    return task


def _files(folder: Path) -> dict[str, Path]:
    shipped = {path.stem: path for path in (Path(__file__).parent / "tasks").glob("*.yaml")}
    own = {path.stem: path for path in folder.glob("*.yaml")} if folder.is_dir() else {}
    return {**shipped, **own}


def _parse(text: str, place: str) -> Task:
    import yaml

    try:
        keys = yaml.safe_load(text)
        if not isinstance(keys, dict):
            lacks = "holds no keys" if keys else "is empty"
            raise SettingsError(
                f"{place} is not a task", why=f"the file {lacks}; it needs {NEEDED}", fix=f"edit {place}"
            )
        return Task.model_validate(keys)
    except yaml.YAMLError as error:
        raise SettingsError(
            f"{place} is not valid YAML", why=" ".join(str(error).split()), fix=f"edit {place}"
        ) from error
    except ValidationError as error:
        why = "; ".join(_in_words(item) for item in error.errors(include_url=False))
        raise SettingsError(f"{place} is not a task", why=why, fix=f"edit {place}") from error


def _in_words(fault: ErrorDetails) -> str:
    key = ".".join(map(str, fault["loc"]))
    known = {
        "missing": "is missing",
        "extra_forbidden": "is no key of a task",
        "string_type": "must be a text",
        "string_too_short": "is empty",
        "string_pattern_mismatch": "must be lower-case letters, digits, - and _, a letter first",
    }
    said = fault["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"`{key}` {known[fault['type']]}" if fault["type"] in known else f"{key} {said}".strip()


def _filled(text: str, words: dict[str, str]) -> str:
    return _BLANK.sub(lambda found: words.get(found.group(1), found.group()), text)
