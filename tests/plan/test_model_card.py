"""The baseline: the model card's own command as a plan."""

from __future__ import annotations

from pathlib import Path

from support.facts import checkpoint, facts

from stepaudio_serve.plan.build import make_plan
from stepaudio_serve.plan.plan import Port
from stepaudio_serve.settings.options import Settings
from stepaudio_serve.settings.sources import resolve

CARD = resolve(profile="model-card").settings


def test_it_adds_nothing_of_ours() -> None:
    plan = make_plan(CARD, facts())
    assert plan.entrypoint == ()
    assert plan.command[:2] == ("vllm", "serve")
    assert (plan.environment, plan.files, plan.key_file) == ({}, {}, None)
    assert plan.container.health_check is None
    assert plan.container.auto_remove
    assert [mount.target for mount in plan.mounts] == ["/Step-Audio-R1"]


def test_its_port_is_open_to_every_interface_as_the_card_has_it() -> None:
    assert make_plan(CARD, facts()).ports == (Port("", 9999, 9999),)


def test_the_template_is_inline() -> None:
    assert "{{ messages }}" in make_plan(CARD, facts()).command


def test_an_automatic_context_becomes_a_number() -> None:
    command = make_plan(CARD.model_copy(update={"max_model_len": "auto"}), facts()).command
    assert command[command.index("--max-model-len") + 1] == "16384"


def test_a_snapshot_of_the_hubs_cache_is_served_from_inside_its_repository() -> None:
    found = checkpoint(mount_source=Path("/hub/models--Org--R1"), inside="snapshots/abc")
    plan = make_plan(CARD, facts(checkpoint=found))
    assert plan.mounts[0].source == "/hub/models--Org--R1"
    assert plan.command[2] == "/Step-Audio-R1/snapshots/abc"


def test_without_its_profile_the_recipe_still_has_an_image() -> None:
    assert make_plan(Settings(recipe="model-card"), facts()).image == "stepfun2025/vllm:step-audio-2-v20250909"
