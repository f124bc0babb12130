"""Whole characters, however their halves came."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stepaudio_serve.client.answer import Delta, Finish
from stepaudio_serve.client.characters import well_formed, well_formed_parts
from stepaudio_serve.client.results import write_whole

if TYPE_CHECKING:
    from pathlib import Path

HIGH, LOW = "\ud83d", "\ude00"


def together(*parts: Delta) -> tuple[str, str]:
    *deltas, end = well_formed_parts([*parts, Finish("stop")])
    assert end == Finish("stop")
    assert all(isinstance(it, Delta) for it in deltas)
    return "".join(it.content for it in deltas), "".join(it.reasoning for it in deltas)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("plain 😀", "plain 😀"),
        (HIGH + LOW, "😀"),
        (f"a{HIGH}b", "a\ufffdb"),
        (HIGH, "\ufffd"),
        (LOW * 2, "\ufffd" * 2),
    ],
)
def test_halves_are_joined_or_replaced(text: str, whole: str) -> None:
    assert well_formed(text) == whole


def test_the_halves_of_a_character_may_come_in_two_pieces() -> None:
    assert together(Delta(f"a{HIGH}"), Delta(), Delta(f"{LOW}b")) == ("a😀b", "")
    assert together(Delta(reasoning=f"a{HIGH}"), Delta(reasoning=f"{LOW}b"), Delta("c")) == ("c", "a😀b")


def test_a_half_that_stays_alone_is_replaced() -> None:
    assert together(Delta(f"a{HIGH}")) == ("a\ufffd", "")
    assert together(Delta(f"a{HIGH}"), Delta("b")) == ("a\ufffdb", "")
    assert together(Delta(reasoning=HIGH), Delta(LOW)) == ("\ufffd", "\ufffd")


def test_a_result_about_a_file_with_a_name_in_another_encoding_is_written(tmp_path: Path) -> None:
    write_whole(tmp_path / "answer.md", "## caf\udce9.wav")
    assert (tmp_path / "answer.md").read_text("utf-8") == "## caf\ufffd.wav"
