"""The plugin against the vLLM that it is put into, and a stock vLLM that would get none."""

from __future__ import annotations

from typing import Any

import pytest
from support.findings import MACHINE, blocker, found_in, levels, with_checkpoint

from stepaudio_serve.checks.launch import Here
from stepaudio_serve.checks.plugin import version_of
from stepaudio_serve.vllm_plugin import release

OTHER = with_checkpoint(architectures=("Qwen2AudioForConditionalGeneration",))


def test_with_the_pinned_image_it_fits() -> None:
    fits = found_in(engine_image="upstream")["plugin"]
    assert fits.level == "ok"
    assert "0.1.0 is mounted read-only; it supports vLLM 0.31 to 0.33" in fits.what


@pytest.mark.parametrize("tag", ["v0.21.0", "0.30.1", "v0.34.0", "v0.34.0-cu129", "v1.0.0"])
def test_a_release_that_it_is_not_made_for_is_refused_in_its_own_words(tag: str) -> None:
    refused = blocker(engine_image="upstream", image=f"vllm/vllm-openai:{tag}")
    assert refused.id == "plugin"
    assert refused.what == release.refusal(version_of(f"vllm/vllm-openai:{tag}"))
    assert refused.fix == "--image vllm/vllm-openai:v0.32.0"


@pytest.mark.parametrize("image", ["mine:1", "vllm/vllm-openai:nightly", "vllm/vllm-openai", "vllm-cpu:0.21.0"])
def test_which_vllm_an_image_of_another_name_holds_is_not_known(image: str) -> None:
    note = found_in(engine_image="upstream", image=image)["plugin"]
    assert note.level == "note"
    assert image in note.why
    assert levels(engine_image="upstream", image=image) == {}


def test_which_vllm_runs_as_a_process_is_not_known() -> None:
    assert found_in(engine_image="upstream", runtime="process")["plugin"].level == "note"


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        ("vllm/vllm-openai:v0.32.0", "0.32.0"),
        ("registry.example.org:5000/mirror/vllm/vllm-openai:v0.31.1-cu129", "0.31.1"),
        ("vllm/vllm-openai:latest", ""),
        ("vllm/vllm-openai@sha256:0123456789ab", ""),
        ("someone/vllm-openai:v0.32.0", ""),
        ("stepfun2025/vllm:step-audio-2-v20250909", ""),
    ],
)
def test_vllms_own_image_names_its_release(reference: str, version: str) -> None:
    assert version_of(reference) == version


def test_nothing_is_said_of_it_where_it_is_not_brought_along() -> None:
    for settings in ({}, {"engine": "rehearsal"}, {"engine": "rehearsal", "engine_image": "upstream"}):
        assert not {"plugin", "plugin-missing", "plugin-loaded"} & found_in(**settings).keys()


# ---- a stock vLLM without it


@pytest.mark.parametrize(
    ("tag", "level", "fix"),
    [
        ("v0.32.0", "blocker", "--engine-image upstream"),
        ("v0.21.0", "blocker", "--engine-image upstream --image vllm/vllm-openai:v0.32.0"),
        ("v0.35.0", "warning", "--engine-image upstream --image vllm/vllm-openai:v0.32.0"),
        ("nightly", "warning", "--engine-image upstream"),
    ],
)
def test_vllms_own_image_with_the_flags_of_the_frozen_one_gets_no_plugin(tag: str, level: str, fix: str) -> None:
    missing = found_in(image=f"vllm/vllm-openai:{tag}")["plugin-missing"]
    assert (missing.level, missing.fix) == (level, fix)
    assert "StepAudio2ForCausalLM" in missing.what


@pytest.mark.parametrize("settings", [{"image": "mine:1"}, {"image": "vllm/vllm-openai-fork:v0.32.0"}])
def test_of_other_images_nothing_is_known(settings: dict[str, Any]) -> None:
    assert "plugin-missing" not in found_in(**settings)


def test_other_models_need_none() -> None:
    assert "plugin-missing" not in found_in(OTHER, image="vllm/vllm-openai:v0.32.0")


# ---- a running deployment


@pytest.mark.parametrize(("loaded", "level"), [(True, "ok"), (False, "warning"), (None, None)])
def test_what_the_running_engines_log_tells(loaded: bool | None, level: str | None) -> None:
    found = found_in(MACHINE, Here(plugin_loaded=loaded), engine_image="upstream").get("plugin-loaded")
    assert (found.level if found else None) == level
    if found is not None and loaded is False:
        assert "VLLM_PLUGINS" in found.why
        assert found.fix == "stepaudio-serve logs step-audio-r1 | grep -i plugin"
