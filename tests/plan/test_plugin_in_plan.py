"""The Step-Audio plugin in a plan: brought along with upstream only, where the engine finds it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.facts import facts

from stepaudio_serve.facts.engine import ImageFacts
from stepaudio_serve.plan.build import make_plan
from stepaudio_serve.plan.labels import LABEL_PREFIX
from stepaudio_serve.plan.plugin import brings_plugin, supported_versions
from stepaudio_serve.settings.options import Settings

if TYPE_CHECKING:
    from stepaudio_serve.facts.gather import Facts
    from stepaudio_serve.plan.plan import Plan

PLUGIN = {"stepaudio_vllm/__init__.py": "", "stepaudio_vllm-0.1.0.dist-info/METADATA": "Name: stepaudio-vllm\n"}
MACHINE = facts(31.36, plugin_files=PLUGIN)


def plan(found: Facts = MACHINE, **settings: Any) -> Plan:
    return make_plan(Settings(**{"engine_image": "upstream", **settings}), found)


def with_image(**environment: str) -> Facts:
    """A machine where the image is present."""
    return replace(MACHINE, image=ImageFacts("sha256:1", "amd64", (), environment=environment))


def value(words: tuple[str, ...], flag: str) -> str:
    return words[words.index(flag) + 1]


def test_the_image_is_vllms_own_and_its_files_hold_the_plugin() -> None:
    made = plan()
    assert made.image == "vllm/vllm-openai:v0.32.0"
    assert made.entrypoint == ("vllm",)
    assert PLUGIN.items() <= dict(made.files).items()


@pytest.mark.parametrize("settings", [{}, {"image": "mine:1"}, {"guard": False}])
def test_the_folder_with_it_is_mounted_read_only_and_on_the_module_path(settings: dict[str, Any]) -> None:
    made = plan(**settings)
    assert PLUGIN.keys() <= made.files.keys()
    (mount,) = [mount for mount in made.mounts if mount.target == "/opt/stepaudio"]
    assert mount.read_only
    assert made.environment["PYTHONPATH"] == "/opt/stepaudio"


@pytest.mark.parametrize("guard", [True, False])
def test_a_process_finds_it_where_its_files_are(guard: bool) -> None:
    made = plan(runtime="process", guard=guard)
    assert made.environment["PYTHONPATH"] == made.files_source
    assert PLUGIN.keys() <= made.files.keys()


@pytest.mark.parametrize(
    "settings",
    [
        {"engine_image": "stepfun"},
        {"engine_image": "stepfun", "guard": False},
        {"engine": "rehearsal"},
        {"recipe": "model-card", "guard": False},
    ],
)
def test_nothing_else_has_it(settings: dict[str, Any]) -> None:
    made = plan(**settings)
    assert not PLUGIN.keys() & made.files.keys()
    assert not brings_plugin(Settings(**{"engine_image": "upstream", **settings}))
    if not settings.get("guard", True):
        assert "PYTHONPATH" not in made.environment


def test_the_flags_are_those_of_that_generation() -> None:
    words = plan().command
    assert value(words, "--shutdown-timeout") == "55"
    assert "--trust-remote-code" not in words
    assert "--trust-remote-code" in plan(trust_remote_code="on").command
    assert not any(word.endswith("-parser") for word in words)  # the guard tells the thinking apart


def test_the_plugins_parsers_can_be_switched_on_after_the_dashes() -> None:
    given = (
        *("--reasoning-parser", "step_audio"),
        *("--enable-auto-tool-choice", "--tool-call-parser", "step_audio_2"),
    )
    words = plan(engine_args=given).command
    assert words[-len(given) - 2 :] == (*given, "--middleware", "stepaudio_guard.Guard")


# ---- VLLM_PLUGINS


@pytest.mark.parametrize(
    ("in_image", "becomes"),
    [
        ("lora_filesystem", "lora_filesystem,step_audio_2"),
        ("", "step_audio_2"),
        ("a,step_audio_2", None),
        (None, None),
    ],
)
def test_an_image_that_names_its_plugins_is_told_of_ours(in_image: str | None, becomes: str | None) -> None:
    found = with_image(**({"VLLM_PLUGINS": in_image} if in_image is not None else {}))
    made = plan(found)
    assert made.environment.get("VLLM_PLUGINS") == becomes
    assert ("vllm-plugins" in {note.id for note in made.notes}) is (becomes is not None)
    assert "VLLM_PLUGINS" not in plan(found, engine_image="stepfun").environment


def test_for_a_process_this_machines_own_variable_counts() -> None:
    here = replace(with_image(VLLM_PLUGINS="of-an-image"), named_plugins="mine")
    assert plan(here, runtime="process").environment["VLLM_PLUGINS"] == "mine,step_audio_2"
    assert plan(here).environment["VLLM_PLUGINS"] == "of-an-image,step_audio_2"
    assert "VLLM_PLUGINS" not in plan(replace(here, named_plugins=None), runtime="process").environment


# ---- later


@pytest.mark.parametrize("settings", [{}, {"image": "mine:1"}, {"trust_remote_code": "on"}])
def test_a_restart_makes_the_same_plan_of_the_labels(settings: dict[str, Any]) -> None:
    made = plan(**settings)
    kept = json.loads(made.labels[LABEL_PREFIX + "settings"])
    assert kept["engine_image"] == "upstream"
    assert make_plan(Settings.model_validate(kept), MACHINE).hash == made.hash


def test_what_it_supports_is_said_in_words() -> None:
    assert supported_versions() == "vLLM 0.31 to 0.33"
