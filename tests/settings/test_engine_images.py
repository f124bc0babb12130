"""The known engine images: what is said of each, and that nothing is claimed that nobody has seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stepaudio_serve.settings.engine_images import IMAGES, chosen_image, engine_image, trusts_code
from stepaudio_serve.settings.options import Settings
from stepaudio_serve.vllm_plugin import release


def test_the_choice_is_between_the_images_that_are_known() -> None:
    assert Settings().engine_image == "stepfun"
    assert set(IMAGES) == {"stepfun", "upstream"}
    for name in IMAGES:
        assert engine_image(name).architectures == ("StepAudio2ForCausalLM",)


def test_stepfun_is_the_model_cards_image_for_amd64_with_the_checkpoints_code_and_without_a_plugin() -> None:
    known = engine_image("stepfun")
    assert known.image == "stepfun2025/vllm:step-audio-2-v20250909"
    assert known.platforms == ("linux/amd64",)
    assert (known.checkpoint_code, known.plugin, known.drains, known.serves_others) == (True, False, False, False)


def test_upstream_is_vllms_own_image_of_a_pinned_release_that_the_plugin_supports() -> None:
    known = engine_image("upstream")
    assert known.image == f"vllm/vllm-openai:v{known.vllm}"
    assert release.is_supported(known.vllm)
    assert known.platforms == ("linux/amd64", "linux/arm64")
    assert (known.checkpoint_code, known.plugin, known.drains, known.serves_others) == (False, True, True, True)


def test_no_run_on_a_real_gpu_is_claimed_that_nobody_has_seen() -> None:
    assert engine_image("upstream").reported == ()
    assert all(engine_image(name).seen == () for name in IMAGES)
    assert [text.split(" with ")[0] for text in engine_image("stepfun").reported] == [
        "one RTX PRO 6000 Blackwell",
        "four L40S",
    ]


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "stepfun"),
        ({"engine_image": "upstream"}, "upstream"),
        ({"engine_image": "upstream", "image": "mine:1"}, "upstream"),
        ({"engine": "rehearsal", "engine_image": "upstream"}, "rehearsal"),
    ],
)
def test_the_settings_mean_an_image_with_its_flags(settings: dict[str, Any], name: str) -> None:
    assert chosen_image(Settings(**settings)).name == name


@pytest.mark.parametrize(
    ("image", "given", "trusted"),
    [
        ("stepfun", "auto", True),
        ("upstream", "auto", False),
        ("upstream", "on", True),
        ("upstream", "pinned", True),
        ("stepfun", "pinned", True),
        ("stepfun", "off", False),
    ],
)
def test_the_checkpoints_code_runs_where_the_image_needs_it_or_the_user_says_so(
    image: str, given: str, trusted: bool
) -> None:
    settings = Settings(engine_image=image, trust_remote_code=given)  # type: ignore[arg-type]
    assert trusts_code(settings) is trusted


def test_the_page_on_the_choice_names_images_and_versions_as_they_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "engine-images.md").read_text("utf-8")
    for name in IMAGES:
        assert f"`{engine_image(name).image}`" in page
    first, last = release.SUPPORTED
    assert f"vLLM {first} to {last}" in page
    assert release.refusal("0.21.0") in page
    assert f"stepaudio_vllm-{release.PLUGIN_VERSION}.dist-info" in page
    for parser in (release.REASONING_PARSER, release.TOOL_CALL_PARSER):
        assert f"-parser {parser}" in page
