"""Every entry of the catalogue recognises its own examples, and no other entry takes them."""

from __future__ import annotations

import re

import pytest

from stepaudio_serve.diagnosis import diagnose
from stepaudio_serve.diagnosis.catalogue import catalogue, entries

EXAMPLES = [(entry.id, example) for entry in catalogue() for example in entry.examples]

MINIMAL = {
    "id": "some-failure",
    "severity": "fatal",
    "section": "model",
    "says": ["it broke"],
    "cause": "It broke.",
    "fix": "mend it",
    "source": "seen",
    "examples": ["it broke"],
}


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_an_example_is_diagnosed_as_its_entry_and_as_nothing_else(name: str, example: str) -> None:
    assert [found.id for found in diagnose(example.splitlines())] == [name]


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_an_example_is_found_in_the_middle_of_a_log(name: str, example: str) -> None:
    around = ["INFO:     Started server process [1]"] * 100
    [found] = diagnose([*around, *example.splitlines(), *around])
    assert found.id == name
    assert found.evidence is not None
    assert 100 < found.evidence.line <= 100 + len(example.splitlines())


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_cause_and_fix_are_whole_sentences_with_nothing_left_to_fill_in(name: str, example: str) -> None:
    [found] = diagnose(example.splitlines())
    assert found.cause.endswith(".")
    assert found.fix
    assert not re.search(r"\{\w*\}|  | [.,;]|''|``", found.cause + found.fix)


@pytest.mark.parametrize("field", ["id", "severity", "section", "says", "cause", "fix", "source", "examples"])
def test_an_entry_without_a_field_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        entries([{name: value for name, value in MINIMAL.items() if name != field}])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"severity": "bad"}, "severity is one of fatal, notice, request"),
        ({"section": "elsewhere"}, "section is one of"),
        ({"tells": "all"}, "tells is one of"),
        ({"says": []}, "needs texts"),
        ({"says": [17]}, "needs texts"),
        ({"examples": []}, "at least one example"),
        ({"like": "("}, "unterminated"),
        ({"fix": "use {number}"}, "no group called number"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_entry_is_refused_by_name(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=f"some-failure: .*{complaint}"):
        entries([{**MINIMAL, **change}])


def test_an_id_stands_for_one_entry() -> None:
    with pytest.raises(ValueError, match="some-failure: in the catalogue more than once"):
        entries([MINIMAL, MINIMAL])
