"""All checks together: their order, and that whatever is not good can be acted on."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest
from support.facts import cards, checkpoint, engine, machine
from support.findings import MACHINE, R1, found_in, levels

from stepaudio_serve.checks.launch import GROUPS
from stepaudio_serve.settings.declared import options

FLAGS = {option.flag_name: option.name for option in options() if option.flag and not option.is_switch}
TROUBLE: tuple[tuple[Any, dict[str, Any]], ...] = (
    (MACHINE, {"gpus": "3"}),
    (MACHINE, {"max_model_len": 65536}),
    (MACHINE, {"max_model_len": 99999}),
    (MACHINE, {"tensor_parallel_size": 2}),
    (MACHINE, {"api_key": "k", "guard": False}),
    (MACHINE, {"host": "0.0.0.0", "api_key": "k"}),
    (MACHINE, {"trust_remote_code": "off"}),
    (replace(MACHINE, gpus=replace(cards([31.36]), lost=(1,))), {"gpus": "1"}),
    (machine("gb10", checkpoint=R1), {}),
    (machine("t4", checkpoint=R1), {}),
    (MACHINE, {"image": "vllm/vllm-openai:v0.32.0"}),
    (MACHINE, {"image": "vllm/vllm-openai:v0.21.0"}),
    (MACHINE, {"image": "vllm/vllm-openai:v0.21.0", "engine_image": "upstream"}),
    (replace(MACHINE, engine=engine(is_remote=True)), {}),
    (replace(MACHINE, checkpoint=checkpoint(problem="has no config.json")), {}),
)


def test_r1_on_one_card_that_holds_it_raises_nothing() -> None:
    assert levels() == {}
    assert {finding.group for finding in found_in().values()} >= {"host", "engine", "gpu", "hardware", "memory"}


def test_findings_stand_in_the_order_of_their_groups() -> None:
    order = [GROUPS.index(finding.group) for finding in found_in().values()]
    assert order == sorted(order)


@pytest.mark.parametrize(("facts", "settings"), TROUBLE)
def test_whatever_is_not_good_says_why_and_what_to_type(facts: Any, settings: dict[str, Any]) -> None:
    trouble = [item for item in found_in(facts, **settings).values() if item.level in {"warning", "blocker"}]
    assert trouble
    assert all(item.what and item.why and item.fix for item in trouble)


@pytest.mark.parametrize(("facts", "settings"), TROUBLE)
def test_a_fix_made_of_flags_applied_takes_its_blocker_away(facts: Any, settings: dict[str, Any]) -> None:
    for finding in found_in(facts, **settings).values():
        words = shlex.split(finding.fix) if finding.level == "blocker" else []
        if not words or len(words) % 2 or not set(words[::2]) <= FLAGS.keys() or any("(" in word for word in words):
            continue
        mended = {**settings, **{FLAGS[flag]: value for flag, value in zip(words[::2], words[1::2], strict=True)}}
        assert levels(facts, **mended).get(finding.id) != "blocker"


def test_several_blockers_are_all_found() -> None:
    found = levels(machine("t4", checkpoint=checkpoint(problem="has no config.json")), host="0.0.0.0")
    assert found.keys() >= {"open-to-neighbours", "checkpoint-broken", "memory"}
