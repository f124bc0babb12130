"""The checkpoint's own code: what runs, and that pinned code cannot change unseen."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.findings import MACHINE, R1, blocker, found_in, levels, with_checkpoint

from stepaudio_serve.errors import RefusedError
from stepaudio_serve.facts.checkpoint import CodeFile
from stepaudio_serve.facts.host import Folders
from stepaudio_serve.facts.trusted_code import record_path, trusted_code
from stepaudio_serve.lifecycle.observer import Observer
from stepaudio_serve.lifecycle.trusted_code import remember_code
from stepaudio_serve.settings.options import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from stepaudio_serve.facts.gather import Facts

CODE = (CodeFile("configuration.py", "a" * 64), CodeFile("modeling.py", "b" * 64))
PINNED = Settings(trust_remote_code="pinned")


@pytest.fixture
def machine(tmp_path: Path) -> Facts:
    places = Folders(state=tmp_path, models=tmp_path, hub_cache=tmp_path)
    return replace(MACHINE, folders=places, checkpoint=replace(R1, code=CODE))


def again(facts: Facts, **changes: object) -> Facts:
    """The same machine at the next start."""
    seen = replace(facts.checkpoint, **changes)  # type: ignore[arg-type]
    return replace(facts, checkpoint=seen, trusted_code=trusted_code(facts.folders.state, seen))


class Heard(Observer):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)


def test_what_runs_is_listed() -> None:
    note = found_in(with_checkpoint(code=CODE))["trust-remote-code"]
    assert note.level == "note"
    assert "configuration.py, modeling.py" in note.what


def test_code_that_may_not_run_is_warned_of_when_there_is_some() -> None:
    assert levels(trust_remote_code="off") == {"trust-remote-code": "warning"}
    assert levels(with_checkpoint(has_remote_code=False), trust_remote_code="off") == {}


def test_with_the_plugin_no_code_of_the_checkpoint_runs_unless_it_is_asked_for() -> None:
    machine = with_checkpoint(code=CODE)
    for unasked in ("auto", "off"):
        assert found_in(machine, engine_image="upstream", trust_remote_code=unasked)["trust-remote-code"].level == "ok"
    asked = found_in(machine, engine_image="upstream", trust_remote_code="on")["trust-remote-code"]
    assert (asked.level, "leave --trust-remote-code away" in asked.why) == ("note", True)
    pinned = found_in(machine, engine_image="upstream", trust_remote_code="pinned")["trust-remote-code"]
    assert "records" in pinned.what


def test_code_of_another_model_that_does_not_run_is_said() -> None:
    other = with_checkpoint(code=CODE, architectures=("OtherForCausalLM",))
    note = found_in(other, engine_image="upstream")["trust-remote-code"]
    assert (note.level, "--trust-remote-code on" in note.why) == ("note", True)


def test_the_first_pinned_start_records_and_says_so(machine: Facts) -> None:
    assert found_in(machine, trust_remote_code="pinned")["trust-remote-code"].level == "note"
    heard = Heard()
    remember_code(PINNED, machine, heard)
    assert all(file.name in heard.notices[0] and file.sha256 in heard.notices[0] for file in CODE)
    record = record_path(machine.folders.state, machine.checkpoint)
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert found_in(again(machine), trust_remote_code="pinned")["trust-remote-code"].level == "ok"
    assert sorted(record.parent.iterdir()) == [record]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ((CODE[0], CodeFile("modeling.py", "c" * 64)), ["modeling.py has changed", "b" * 64, "c" * 64]),
        ((*CODE, CodeFile("extra.py", "d" * 64)), ["extra.py is new", "d" * 64]),
        (CODE[:1], ["modeling.py is gone", "b" * 64]),
        ((CODE[0], CodeFile("modeling.py", "")), ["modeling.py is gone", "b" * 64]),
    ],
    ids=["changed", "new", "gone", "named-and-gone"],
)
def test_code_that_is_not_as_recorded_is_refused_with_both_hashes(
    machine: Facts, code: tuple[CodeFile, ...], words: list[str]
) -> None:
    remember_code(PINNED, machine, Observer())
    finding = blocker(again(machine, code=code), trust_remote_code="pinned")
    assert finding.id == "code-changed"
    assert all(word in finding.what for word in words)
    assert f"rm {record_path(machine.folders.state, machine.checkpoint)}" in finding.fix


def test_a_record_is_never_written_over(machine: Facts) -> None:
    remember_code(PINNED, machine, Observer())
    changed = replace(machine, checkpoint=replace(machine.checkpoint, code=CODE[:1]))
    with pytest.raises(RefusedError, match="other code"):
        remember_code(PINNED, changed, Observer())
    record = json.loads(record_path(machine.folders.state, machine.checkpoint).read_text())
    assert record["files"].keys() == {"configuration.py", "modeling.py"}


def test_a_damaged_record_trusts_nothing(machine: Facts) -> None:
    remember_code(PINNED, machine, Observer())
    record_path(machine.folders.state, machine.checkpoint).write_text("{")
    finding = blocker(again(machine), trust_remote_code="pinned")
    assert finding.id == "code-changed"
    assert "cannot be read" in finding.what
    assert finding.fix.startswith("rm ")


def test_nothing_is_recorded_unless_it_is_pinned(machine: Facts) -> None:
    remember_code(Settings(), machine, Observer())
    assert list(machine.folders.state.iterdir()) == []


def test_a_repository_is_known_by_its_name_and_a_folder_by_its_path(machine: Facts, tmp_path: Path) -> None:
    folder = replace(machine.checkpoint, path=tmp_path / "other")
    repository = replace(machine.checkpoint, requested="Org/R1", is_repository=True)
    moved = replace(repository, path=tmp_path / "elsewhere")
    paths = {record_path(tmp_path, each) for each in (machine.checkpoint, folder, repository, moved)}
    assert len(paths) == 3


def test_code_of_another_repository_cannot_be_pinned(machine: Facts) -> None:
    finding = blocker(again(machine, code=(*CODE, CodeFile("x.py", "", "Other/repo"))), trust_remote_code="pinned")
    assert finding.id == "code-elsewhere"
    assert "x.py of Other/repo" in finding.what
    assert levels(again(machine, code=(CodeFile("x.py", "", "Other/repo"),))) == {}
