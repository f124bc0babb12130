"""Compute capability, kind of weights, image and driver against each other, over recorded machines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.facts import cards, machine
from support.findings import R1, blocker, found_in, levels

from stepaudio_serve.facts.checkpoint import Quantization
from stepaudio_serve.facts.engine import ImageFacts
from stepaudio_serve.settings.engine_images import engine_image
from stepaudio_serve.settings.quantizations import kinds, support

if TYPE_CHECKING:
    from stepaudio_serve.facts.checkpoint.checkpoint import QuantizationKind
    from stepaudio_serve.facts.gather import Facts
    from stepaudio_serve.finding import Finding

CUDA_IMAGE = ImageFacts("sha256:1", "amd64", (), environment={"NVIDIA_REQUIRE_CUDA": "cuda>=12.8"})


def on(name: str, kind: QuantizationKind = "nvfp4", **gpus: str) -> Facts:
    """A recorded machine with a checkpoint of a kind; `gpus` changes what its driver says."""
    there = machine(name, checkpoint=replace(R1, quantization=Quantization(kind)))
    return replace(there, gpus=replace(there.gpus, **gpus))  # type: ignore[arg-type]


def hardware(facts: Facts, **settings: object) -> dict[str, Finding]:
    return {name: finding for name, finding in found_in(facts, **settings).items() if finding.group == "hardware"}


@pytest.mark.parametrize(
    ("name", "kind", "level"),
    [
        ("rtx-5090", "nvfp4", "ok"),
        ("rtx-pro-6000", "nvfp4", "ok"),
        ("rtx-5090", "nvfp4a16", "note"),
        ("h100", "nvfp4", "note"),
        ("h100-mig", "nvfp4", "note"),
        ("l40s-x4", "nvfp4", "note"),
        ("rtx-4090", "nvfp4a16", "note"),
        ("t4", "nvfp4", "blocker"),
        ("t4", "nvfp4a16", "blocker"),
        ("t4", "none", "blocker"),
        ("l40s-x4", "none", "ok"),
        ("h100", "other", "note"),
    ],
)
def test_how_a_kind_of_weights_runs(name: str, kind: QuantizationKind, level: str) -> None:
    finding = hardware(on(name, kind))["quantization"]
    assert finding.level == level
    assert level != "blocker" or (finding.why and finding.fix)


def test_the_fallback_says_what_it_costs() -> None:
    note = hardware(on("h100"))["quantization"]
    assert "Marlin" in note.what
    assert "16 bit" in note.why


def test_the_default_image_does_not_run_on_a_gb10() -> None:
    refused = hardware(on("gb10"))["capability"]
    assert refused.level == "blocker"
    assert "sm_121" in refused.why
    assert "capability" not in hardware(on("gb10"), image="mine:1")
    assert found_in(on("gb10"))["platform"].level == "blocker"


def test_a_gpu_newer_than_the_image_is_known_for_is_a_warning() -> None:
    new = replace(
        on("rtx-5090"), gpus=replace(cards([96]), found=(replace(cards([96]).found[0], compute_capability="13.0"),))
    )
    assert hardware(new)["capability"].level == "warning"


def test_among_several_gpus_those_that_can_are_offered() -> None:
    able, old = cards([31.36, 16]).found
    mixed = replace(on("rtx-5090"), gpus=replace(cards([]), found=(able, replace(old, compute_capability="6.1"))))
    assert hardware(mixed)["quantization"].fix == "--gpus 0"
    assert hardware(mixed, gpus="0")["quantization"].level == "ok"


def test_where_another_known_image_can_work_it_is_the_fix() -> None:
    for finding in ("capability", "platform"):
        assert found_in(on("gb10"))[finding].fix == "--engine-image upstream"
    wrong_pull = replace(on("gb10"), image=ImageFacts("sha256:1", "amd64", ()))
    assert found_in(wrong_pull)["platform"].fix == "--engine-image upstream"


@pytest.mark.parametrize("name", ["gb10", "rtx-5090", "h100"])
def test_of_upstreams_kernels_nothing_is_known_and_nothing_stands_against_it(name: str) -> None:
    found = hardware(on(name), engine_image="upstream")
    assert found["capability"].level == "note"
    assert "not known" in found["capability"].what
    assert not [item for item in found.values() if item.level in {"warning", "blocker"}]
    assert "capability" not in hardware(on(name), engine_image="upstream", image="mine:1")


# ---- driver


@pytest.mark.parametrize(
    "gpus", [{"driver_version": "550.54", "cuda_version": "12.4"}, {"driver_version": "565.1", "cuda_version": ""}]
)
def test_native_fp4_needs_a_driver_with_cuda_12_8(gpus: dict[str, str]) -> None:
    refused = hardware(on("rtx-5090", **gpus))["driver-too-old"]
    assert refused.level == "blocker"
    assert "12.8" in refused.why
    assert "driver-too-old" not in hardware(on("h100", **gpus))
    assert "quantization" not in hardware(on("rtx-5090", **gpus))


def test_what_an_image_that_is_not_here_asks_of_the_driver_is_not_known() -> None:
    note = hardware(on("rtx-4090", driver_version="470.57", cuda_version="11.4"))["driver-unclear"]
    assert note.level == "note"
    assert "470.57 (CUDA 11.4)" in note.what


def test_what_the_present_image_asks_of_the_driver_is_checked() -> None:
    old = replace(on("l40s-x4", driver_version="550.54", cuda_version="12.4"), image=CUDA_IMAGE)
    assert "CUDA 12.8" in hardware(old)["driver-too-old"].what
    assert "driver-too-old" not in hardware(replace(on("l40s-x4"), image=CUDA_IMAGE))


def test_what_cannot_be_told_of_the_driver_is_a_warning() -> None:
    strange = ImageFacts("sha256:1", "amd64", (), environment={"NVIDIA_REQUIRE_CUDA": "planet=mars"})
    assert hardware(replace(on("l40s-x4"), image=strange))["driver-unclear"].level == "warning"


# ---- fp8 KV cache


@pytest.mark.parametrize(
    "words", [("--kv-cache-dtype", "fp8"), ("--kv-cache-dtype=fp8_e5m2",), ("--kv_cache_dtype", "fp8")]
)
def test_an_fp8_cache_is_refused_on_blackwell_cards_with_the_default_image(words: tuple[str, ...]) -> None:
    assert hardware(on("rtx-5090"), engine_args=words)["kv-cache-dtype"].level == "blocker"
    assert "kv-cache-dtype" not in hardware(on("h100"), engine_args=words)
    assert "kv-cache-dtype" not in hardware(on("rtx-5090"), engine_args=words, image="mine:1")
    assert "kv-cache-dtype" not in hardware(on("rtx-5090"), engine_args=("--kv-cache-dtype", "auto"))


def test_an_fp8_cache_in_upstream_is_untried_on_blackwell_and_no_blocker() -> None:
    words = ("--kv-cache-dtype", "fp8")
    note = hardware(on("rtx-5090"), engine_args=words, engine_image="upstream")["kv-cache-dtype"]
    assert note.level == "note"
    assert "is open" in note.what
    assert "kv-cache-dtype" not in hardware(on("h100"), engine_args=words, engine_image="upstream")


def test_without_a_gpu_hardware_is_no_matter() -> None:
    assert hardware(on("t4"), gpus="none") == {}
    assert levels(on("t4"), engine="rehearsal") == {}


def test_the_platform_is_refused_before_any_pull() -> None:
    assert blocker(machine("rtx-5090", checkpoint=R1, architecture="arm64")).id == "platform"


# ---- the data


def test_every_known_kind_says_what_it_needs() -> None:
    for kind in kinds():
        rule = support(kind)
        assert rule is not None
        assert rule.native or rule.fallback
        assert rule.oldest_capability.count(".") == 1
        assert rule.source
    assert support("other") is None


def test_images_name_capabilities_as_the_driver_does() -> None:
    for name in ("stepfun", "upstream", "rehearsal"):
        known = engine_image(name)
        for capability in (
            *known.lacks,
            *known.no_fp8_kv_cache,
            *known.unknown_fp8_kv_cache,
            known.newest_capability or "1.0",
        ):
            assert capability.count(".") == 1
