"""The notes on the engine image: the trade-off in plain words, for either choice, and nothing that was not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.facts import facts

from stepaudio_serve.plan.build import make_plan
from stepaudio_serve.settings.options import Settings

if TYPE_CHECKING:
    from stepaudio_serve.plan.plan import Note

OF_THE_PLUGIN = {"plugin", "memory-of-upstream", "shutdown-timeout", "checkpoint-code"}


def notes(**settings: Any) -> dict[str, Note]:
    return {note.id: note for note in make_plan(Settings(**settings), facts(31.36)).notes}


@pytest.mark.parametrize("image", ["stepfun", "upstream"])
def test_either_choice_is_explained_with_what_the_other_would_bring(image: str) -> None:
    note = notes(engine_image=image)["engine-image"]
    other = {"stepfun": "upstream", "upstream": "stepfun"}[image]
    assert note.what.endswith(f": {image}")
    assert f"--engine-image {other}" in note.why
    assert "frozen in August 2025" in note.why
    assert "amd64 only" in note.why
    assert "CPU" in note.why
    assert "we saw none yet" in note.why


def test_upstream_says_what_its_plugin_and_flags_change() -> None:
    found = notes(engine_image="upstream")
    assert found.keys() >= OF_THE_PLUGIN
    assert "vLLM 0.31 to 0.33" in found["plugin"].why
    assert "nobody has measured" in found["memory-of-upstream"].why
    assert "55 s" in found["shutdown-timeout"].what


def test_stepfun_has_none_of_these() -> None:
    assert not notes().keys() & OF_THE_PLUGIN


@pytest.mark.parametrize("settings", [{"image": "mine:1"}, {"runtime": "process"}, {"engine": "rehearsal"}])
def test_of_an_engine_that_is_none_of_the_two_nothing_is_said(settings: dict[str, Any]) -> None:
    assert "engine-image" not in notes(**settings)


def test_what_the_user_decides_is_not_explained_as_ours() -> None:
    assert "checkpoint-code" not in notes(engine_image="upstream", trust_remote_code="on")
    own = notes(engine_image="upstream", engine_args=("--shutdown-timeout", "7"))
    assert "shutdown-timeout" not in own


def test_what_a_clip_beyond_30_seconds_does_differs() -> None:
    frozen, current = (notes(engine_image=image, guard=False)["clip-length"].what for image in ("stepfun", "upstream"))
    assert "end the released engine" in frozen
    assert "refused" in current
    assert "ends the engine" not in notes(engine_image="upstream")["guard"].why
