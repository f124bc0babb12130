"""Tasks as data: those that ship, and a user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from stepaudio_serve.client.tasks import Task, all_tasks, load_task, prepare, question, task_names
from stepaudio_serve.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = ["describe", "emotion", "music", "speaker", "summarize", "transcribe", "translate"]
OWN = {"name": "birds", "summary": "Which birds sing.", "prompt": "Which birds?", "join": "list", "whole": "All birds?"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "birds.yaml").write_text(yaml.safe_dump(OWN))
    return tmp_path


def changed(folder: Path, **keys: object) -> Path:
    (folder / "birds.yaml").write_text(yaml.safe_dump({**OWN, **keys}))
    return folder


def test_the_tasks_that_ship_are_whole(tmp_path: Path) -> None:
    assert [task.name for task in all_tasks(tmp_path)] == SHIPPED
    for task in all_tasks(tmp_path):
        asked = prepare(task)
        assert "{" not in asked.prompt + asked.part + asked.whole


def test_a_users_own_stand_beside_them(folder: Path) -> None:
    assert task_names(folder) == sorted([*SHIPPED, "birds"])
    assert load_task("birds", folder).summary == "Which birds sing."


def test_a_users_own_takes_the_place_of_one_that_ships(folder: Path) -> None:
    (folder / "transcribe.yaml").write_text(yaml.safe_dump({**OWN, "name": "transcribe"}))
    assert load_task("transcribe", folder).prompt == "Which birds?"
    assert len(task_names(folder)) == len(SHIPPED) + 1


def test_an_unknown_task_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no task `sing`") as caught:
        load_task("sing", tmp_path)
    assert caught.value.why == "tasks are " + ", ".join(SHIPPED)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"join": "glue"}, "join"),
        ({"whole": ""}, "needs a text `whole`"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "Which {bird}?"}, "{bird} is none of"),
        ({"prompt": "Say it in {to}."}, "needs a key `to`"),
        ({"window_seconds": 5}, "window_seconds"),
        ({"windows": 5}, "windows"),
    ],
)
def test_a_wrong_task_is_named_with_its_fault(folder: Path, keys: dict[str, object], why: str) -> None:
    with pytest.raises(SettingsError, match=r"birds\.yaml is not a task") as caught:
        load_task("birds", changed(folder, **keys))
    assert why in caught.value.why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the file is empty; it needs name, summary, prompt, join"),
        ("- birds", "the file holds no keys; it needs"),
        ("name: birds\nsummary: S\nprompt: P", "`join` is missing"),
    ],
)
def test_a_wrong_task_hides_no_other(folder: Path, text: str, why: str) -> None:
    (folder / "birds.yaml").write_text(text)
    wrong: list[SettingsError] = []
    assert [task.name for task in all_tasks(folder, on_wrong=wrong.append)] == SHIPPED
    assert why in wrong[0].why


@pytest.mark.parametrize("text", ["prompt: [", "\x00"])
def test_what_is_no_yaml_is_said(folder: Path, text: str) -> None:
    (folder / "birds.yaml").write_text(text)
    with pytest.raises(SettingsError, match="not valid YAML"):
        load_task("birds", folder)


def test_a_task_is_called_as_its_file(folder: Path) -> None:
    with pytest.raises(SettingsError, match="its name is `owls`"):
        load_task("birds", changed(folder, name="owls"))


# ---- filled in


def test_the_languages_are_filled_in(tmp_path: Path) -> None:
    translate = load_task("translate", tmp_path)
    assert "into English" in prepare(translate).prompt
    asked = prepare(translate, to="French", language="German")
    assert "into French" in asked.prompt
    assert asked.prompt.endswith("The language that is spoken is German.")
    assert "into French" in asked.part


@pytest.mark.parametrize("language", [{"to": "French"}, {"language": "German"}])
def test_a_language_that_a_task_has_no_use_for_is_refused(tmp_path: Path, language: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="`music`"):
        prepare(load_task("music", tmp_path), **language)


def test_words_of_the_users_own_are_added(tmp_path: Path) -> None:
    asked = prepare(load_task("summarize", tmp_path), more="For {children}.")
    for text in (asked.prompt, asked.part, asked.whole):
        assert text.endswith("\n\nFor {children}.")


def test_a_question_is_sent_as_it_was_typed() -> None:
    asked = question("Who says {to}?")
    assert asked.prompt == "Who says {to}?"
    assert "«Who says {to}?»" in asked.part
    assert asked.whole.endswith("Who says {to}?")
    assert isinstance(asked.task, Task)
