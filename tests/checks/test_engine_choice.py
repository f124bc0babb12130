"""Which engine image is chosen, where it has run, and what the other would bring; where only one can work, that one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.facts import machine
from support.findings import MACHINE, R1, found_in

from stepaudio_serve.checks.engine_choice import stands_against, working
from stepaudio_serve.settings.engine_images import engine_image
from stepaudio_serve.settings.options import Settings

GB10 = machine("gb10", checkpoint=R1)
ARM_WITHOUT_GPU = replace(MACHINE, architecture="arm64")


def test_where_both_can_work_it_says_which_is_chosen_where_it_ran_and_what_the_other_brings() -> None:
    chosen = found_in()["image-choice"]
    assert chosen.level == "ok"
    assert "stepfun" in chosen.what
    assert "RTX PRO 6000 Blackwell" in chosen.what
    assert "seen there by us: nothing yet" in chosen.what
    assert "upstream is a current vLLM" in chosen.what


def test_upstream_is_said_to_have_run_on_no_real_gpu() -> None:
    chosen = found_in(engine_image="upstream")["image-choice"]
    assert chosen.level == "ok"
    assert "on a real GPU nobody has reported it" in chosen.what
    assert "seen there by us: nothing yet" in chosen.what
    assert "stepfun is exactly the model card's stack" in chosen.what


def test_where_only_the_chosen_one_can_work_the_reason_against_the_other_is_said() -> None:
    assert "stepfun cannot work here: it does not exist for linux/arm64" in (
        found_in(GB10, engine_image="upstream")["image-choice"].what
    )


def test_where_the_chosen_one_cannot_work_other_checks_say_so() -> None:
    assert "image-choice" not in found_in(GB10)
    assert "capability" in found_in(GB10)


@pytest.mark.parametrize(
    ("facts", "settings", "flag"),
    [
        (GB10, {}, "--engine-image upstream"),
        (ARM_WITHOUT_GPU, {}, "--engine-image upstream"),
        (GB10, {"engine_image": "upstream"}, ""),
        (MACHINE, {"engine_image": "upstream"}, "--engine-image stepfun"),
        (GB10, {"recipe": "model-card"}, ""),
        (GB10, {"engine": "rehearsal"}, ""),
    ],
)
def test_the_other_is_offered_where_it_can_work(facts: Any, settings: dict[str, Any], flag: str) -> None:
    assert working(Settings(**settings), facts) == flag


def test_kernels_count_also_where_the_processor_fits() -> None:
    amd64 = replace(GB10, architecture="amd64")
    assert "12.1" in stands_against(engine_image("stepfun"), Settings(), amd64)
    assert stands_against(engine_image("upstream"), Settings(), amd64) == ""


def test_a_process_has_no_image_but_flags() -> None:
    assert "`vllm` on this machine" in found_in(runtime="process")["image-choice"].what
    assert stands_against(engine_image("stepfun"), Settings(runtime="process"), ARM_WITHOUT_GPU) == ""


@pytest.mark.parametrize("settings", [{"engine": "rehearsal"}, {"recipe": "model-card"}])
def test_where_there_is_no_choice_nothing_is_said(settings: dict[str, Any]) -> None:
    assert "image-choice" not in found_in(**settings)


def test_the_model_cards_command_has_no_place_for_another_image() -> None:
    refused = found_in(recipe="model-card", engine_image="upstream")["model-card"]
    assert refused.level == "blocker"
    assert "engine_image" in refused.what
