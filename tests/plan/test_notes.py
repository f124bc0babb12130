"""The notes say what differs from the model card's command and what was assumed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.facts import checkpoint, engine, facts

from stepaudio_serve.plan.build import make_plan
from stepaudio_serve.settings.options import Settings

if TYPE_CHECKING:
    from stepaudio_serve.facts.gather import Facts

R1 = facts()


def notes(settings: dict[str, Any], found: Facts = R1) -> set[str]:
    return {note.id for note in make_plan(Settings(**settings), found).notes}


def test_the_defaults_say_how_they_differ_from_the_card() -> None:
    assert notes({}) == {
        "engine-image", "loopback", "chat-template", "generation-config", "guard", "log-requests", "container",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "found", "note"),
    [
        ({"guard": False}, R1, "guard-off"),
        ({"guard": False}, R1, "clip-length"),
        ({"max_model_len": "auto"}, R1, "max-model-len-auto"),
        ({"gpus": "none"}, R1, "no-gpu"),
        ({}, facts(31, 31), "tensor-parallel"),
        ({}, facts(engine=engine(runtimes=("runc",), cdi_nvidia=True)), "cdi"),
        ({}, facts(checkpoint=checkpoint(stop_ids=())), "no-eot"),
        ({}, facts(checkpoint=checkpoint(exists=False)), "assumed-stop-ids"),
        ({"runtime": "process"}, R1, "process"),
        ({"engine": "rehearsal"}, R1, "rehearsal"),
    ],
)
def test_what_is_special_is_said(settings: dict[str, Any], found: Facts, note: str) -> None:
    assert note in notes(settings, found)
    assert note not in notes({})


def test_a_size_that_was_set_needs_no_explanation() -> None:
    two = facts(31, 31)
    assert "tensor-parallel" not in notes({"tensor_parallel_size": 2}, two)
    assert "max-num-batched-tokens" not in notes({"max_num_batched_tokens": 1024}, two)
    assert {"tensor-parallel", "max-num-batched-tokens"} <= notes({}, two)


def test_every_note_has_a_reason() -> None:
    plan = make_plan(
        Settings(guard=False, max_model_len="auto", gpus="none"), facts(checkpoint=checkpoint(exists=False))
    )
    assert all(note.what and note.why for note in plan.notes)
