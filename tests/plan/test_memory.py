"""The memory estimate against the numbers that were computed and measured for the released image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.facts import GIB, R1, RTX_5090, RTX_PRO_6000, cards, checkpoint

from stepaudio_serve.facts.checkpoint import TextShape
from stepaudio_serve.plan.devices import devices_for
from stepaudio_serve.plan.memory import MemoryBudget, estimate
from stepaudio_serve.settings.options import Settings

if TYPE_CHECKING:
    from stepaudio_serve.facts.gpu import Gpus

BF16_GIB = 62.4
MEASURED: dict[str, Any] = {"gpu_memory_utilization": 0.85, "max_model_len": 65536, "max_num_seqs": 4}
"""What the one deployment with published figures was started with; the engine then said 4.76 contexts."""


def budget_on(gpus: Gpus, *, weights_gib: float = 20.60, tensor_parallel: int = 1, **settings: Any) -> MemoryBudget:
    chosen = Settings(**settings)
    assert isinstance(chosen.max_model_len, int)
    return estimate(
        chosen,
        checkpoint(weights_bytes=round(weights_gib * GIB)),
        devices_for(chosen, gpus),
        max_model_len=chosen.max_model_len,
        tensor_parallel=tensor_parallel,
    )


def budget(*sizes_gib: float, **rest: Any) -> MemoryBudget:
    return budget_on(cards(sizes_gib), **rest)


@pytest.mark.parametrize(
    ("sizes_gib", "settings", "tensor_parallel", "tokens"),
    [
        ([RTX_5090], {}, 1, 18_300),
        ([RTX_5090], {"max_num_batched_tokens": 1024}, 1, 23_000),
        ([RTX_PRO_6000], {}, 1, 225_000),
        ([RTX_5090, RTX_5090], {}, 2, 116_000),
    ],
    ids=["RTX 5090", "RTX 5090 at 1024", "RTX PRO 6000", "two RTX 5090"],
)
def test_tokens_of_kv_cache(
    sizes_gib: list[float], settings: dict[str, Any], tensor_parallel: int, tokens: int
) -> None:
    memory = budget(*sizes_gib, tensor_parallel=tensor_parallel, **settings)
    assert memory.kv_tokens == pytest.approx(tokens, rel=0.1)
    assert memory.fits is True


@pytest.mark.parametrize(
    ("total_mib", "reserved_mib"),
    [(round(44.64 * 1024), None), (46068, None), (46068, 357)],
    ids=["as the engine sees it", "as NVML says", "as NVML says, less what it reserves"],
)
def test_a_measured_deployment_is_met(total_mib: int, reserved_mib: int | None) -> None:
    four = cards([44.64] * 4)
    found = tuple(replace(gpu, memory_total_mib=total_mib, memory_reserved_mib=reserved_mib) for gpu in four.found)
    memory = budget_on(replace(four, found=found), weights_gib=BF16_GIB, tensor_parallel=4, **MEASURED)
    assert memory.concurrency == pytest.approx(4.76, rel=0.1)
    assert memory.max_num_batched_tokens == 2048


def test_an_rtx_5090_holds_one_full_context() -> None:
    memory = budget(RTX_5090)
    assert memory.concurrency is not None
    assert 1 <= memory.concurrency < 2


def test_an_rtx_pro_6000_holds_thirteen() -> None:
    memory = budget(RTX_PRO_6000)
    assert memory.concurrency == pytest.approx(13, rel=0.1)


def test_24_gb_do_not_suffice() -> None:
    memory = budget(24.0)
    assert memory.fits is False
    assert memory.kv_tokens == 0


def test_the_sum_can_be_followed() -> None:
    memory = budget(RTX_5090)
    assert memory.budget_gib == round(RTX_5090 * 0.9, 2)
    assert memory.activation_gib == 1.2
    assert memory.encoder_gib == 2.0  # five clips of 0.4 at a step of 2048
    parts = (memory.weights_gib, memory.activation_gib, memory.encoder_gib, memory.kv_cache_gib)
    assert sum(part for part in parts if part) == pytest.approx(memory.budget_gib, abs=0.02)
    assert memory.outside_gib == pytest.approx(RTX_5090 * 0.1, abs=0.01)
    assert memory.needed_gib == pytest.approx(20.6 + 1.2 + 2.0 + 4.0, abs=0.01)


def test_what_is_not_known_is_said() -> None:
    absent = checkpoint(requested="Org/R1", weights_bytes=0, text=None, problem="is not on this disk")
    sizes = {"max_model_len": 16384, "tensor_parallel": 1}
    known = estimate(Settings(), absent, (), absence="no NVIDIA driver is installed", **sizes)
    assert known.unknown == "the checkpoint Org/R1 is not on this disk; no NVIDIA driver is installed"
    assert budget(RTX_5090).unknown == ""


def test_a_context_longer_than_the_cache_does_not_fit() -> None:
    assert budget(RTX_5090, max_model_len=16384).fits is True
    assert budget(RTX_5090, max_model_len=20000).fits is False


def test_the_smallest_gpu_counts() -> None:
    assert budget(RTX_PRO_6000, RTX_5090, tensor_parallel=2) == budget(RTX_5090, RTX_5090, tensor_parallel=2)


def test_what_the_driver_reserves_is_not_to_be_had() -> None:
    whole = cards([RTX_5090])
    reserved = replace(whole, found=(replace(whole.found[0], memory_reserved_mib=1024),))
    assert budget_on(reserved) == budget(RTX_5090 - 1)


def test_a_token_costs_the_same_whatever_the_split_and_weights_are_per_gpu() -> None:
    whole, split = budget(RTX_5090), budget(RTX_5090, RTX_5090, tensor_parallel=2)
    assert whole.kv_bytes_per_token == split.kv_bytes_per_token == 262144
    assert (whole.weights_gib, split.weights_gib) == (20.6, 10.3)


def test_kv_heads_that_cannot_be_divided_any_more_are_held_by_several() -> None:
    few = replace(R1, text=TextShape(layers=64, kv_heads=2, head_dim=128, heads=40, max_positions=65536))
    devices = devices_for(Settings(), cards([80.0] * 4))
    four = estimate(Settings(), few, devices, max_model_len=16384, tensor_parallel=4)
    two = estimate(Settings(), replace(few, weights=None), devices, max_model_len=16384, tensor_parallel=2)
    assert two.kv_bytes_per_token == four.kv_bytes_per_token == 64 * 2 * 128 * 4
    assert four.kv_cache_gib is not None
    assert four.kv_tokens == pytest.approx(four.kv_cache_gib * GIB / (64 * 1 * 128 * 4), rel=0.001)


def test_the_engines_default_step_grows_with_the_card() -> None:
    assert budget(RTX_5090).max_num_batched_tokens == 2048
    assert budget(RTX_PRO_6000).max_num_batched_tokens == 8192
    assert budget(RTX_5090, max_num_batched_tokens=512).max_num_batched_tokens == 512


def test_an_a100_keeps_the_small_step() -> None:
    a100 = cards([80.0])
    named = replace(a100, found=(replace(a100.found[0], name="NVIDIA A100-SXM4-80GB"),))
    assert budget_on(named).max_num_batched_tokens == 2048
    assert budget_on(a100).max_num_batched_tokens == 8192


def test_audio_is_what_the_context_leaves_beside_an_answer_of_4096_tokens() -> None:
    assert budget(RTX_5090).audio_seconds == pytest.approx((16384 - 4096) / 12.5, abs=1)
    assert budget(RTX_5090, max_model_len=2048).audio_seconds == 0


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        (("--kv-cache-dtype", "fp8"), 2.0),
        (("--kv_cache_dtype=fp8_e4m3",), 2.0),
        (("--kv-cache-dtype", "auto"), 1.0),
        (("--skip-mm-profiling",), 6.42 / 4.42),
        (("--no-skip-mm-profiling",), 1.0),
        (("--cpu-offload-gb", "2"), 6.42 / 4.42),
        (("--seed", "1"), 1.0),
    ],
)
def test_arguments_for_the_engine_count(arguments: tuple[str, ...], more: float) -> None:
    plain, other = budget(RTX_5090).kv_tokens, budget(RTX_5090, engine_args=arguments).kv_tokens
    assert plain is not None
    assert other == pytest.approx(plain * more, rel=0.01)


@pytest.mark.parametrize("flag", ["--pipeline-parallel-size=2", "--num_gpu_blocks_override=9", "-dp"])
def test_what_is_beyond_the_estimate_is_said_instead_of_guessed(flag: str) -> None:
    memory = budget(RTX_5090, engine_args=(flag,))
    assert (memory.fits, memory.kv_tokens) == (None, None)
    assert flag.partition("=")[0].replace("_", "-") in memory.unknown


def test_a_model_that_does_not_listen_needs_no_memory_for_an_encoder() -> None:
    text_only = replace(R1, architectures=("Qwen2ForCausalLM",), audio=None)
    memory = estimate(Settings(), text_only, devices_for(Settings(), cards([RTX_5090])), max_model_len=16384,
                      tensor_parallel=1)  # fmt: skip
    assert memory.encoder_gib == 0


def test_without_gpus_nothing_is_said_about_fitting_but_what_is_known_is() -> None:
    memory = budget()
    assert memory.fits is None
    assert memory.kv_tokens is None
    assert memory.weights_gib == 20.6
    assert memory.kv_bytes_per_token == 262144


def test_unified_memory_that_the_driver_does_not_size_is_not_known() -> None:
    assert budget(0).fits is None


def test_the_minis_tokens_are_smaller() -> None:
    mini = TextShape(layers=28, kv_heads=4, head_dim=128, heads=28, max_positions=16384)
    assert mini.kv_bytes_per_token == 56 * 1024
