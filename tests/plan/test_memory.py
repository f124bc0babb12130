"""The memory estimate against the numbers that were computed and measured for the released image."""

from __future__ import annotations

import pytest
from support.facts import GIB, RTX_5090, RTX_PRO_6000, cards, checkpoint

from stepaudio_serve.facts.checkpoint import TextShape
from stepaudio_serve.plan.memory import MemoryBudget, estimate
from stepaudio_serve.settings.options import Settings

BF16_GIB = 62.4


def budget(*sizes_gib: float, weights_gib: float = 20.60, tensor_parallel: int = 1, **settings: object) -> MemoryBudget:
    chosen = Settings.model_validate(settings)
    assert isinstance(chosen.max_model_len, int)
    return estimate(
        chosen,
        checkpoint(weights_bytes=round(weights_gib * GIB)),
        cards(sizes_gib).found,
        max_model_len=chosen.max_model_len,
        tensor_parallel=tensor_parallel,
    )


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
    sizes_gib: list[float], settings: dict[str, object], tensor_parallel: int, tokens: int
) -> None:
    memory = budget(*sizes_gib, tensor_parallel=tensor_parallel, **settings)
    assert memory.kv_tokens == pytest.approx(tokens, rel=0.1)
    assert memory.fits is True


def test_a_measured_deployment_is_met() -> None:
    memory = budget(
        *[44.64] * 4,
        weights_gib=BF16_GIB,
        tensor_parallel=4,
        gpu_memory_utilization=0.85,
        max_model_len=65536,
        max_num_seqs=4,
    )
    assert memory.concurrency == pytest.approx(4.76, rel=0.1)


def test_an_rtx_5090_holds_one_full_context() -> None:
    memory = budget(RTX_5090)
    assert memory.concurrency is not None
    assert 1 <= memory.concurrency < 2


def test_what_is_not_known_is_said() -> None:
    absent = checkpoint(requested="Org/R1", weights_bytes=0, text=None, problem="is not on this disk")
    sizes = {"max_model_len": 16384, "tensor_parallel": 1}
    known = estimate(Settings(), absent, (), absence="no NVIDIA driver is installed", **sizes)
    assert known.unknown == "the checkpoint Org/R1 is not on this disk; no NVIDIA driver is installed"
    assert budget(RTX_5090).unknown == ""


def test_24_gb_do_not_suffice() -> None:
    memory = budget(24.0)
    assert memory.fits is False
    assert memory.kv_tokens == 0


def test_a_context_longer_than_the_cache_does_not_fit() -> None:
    assert budget(RTX_5090, max_model_len=16384).fits is True
    assert budget(RTX_5090, max_model_len=20000).fits is False


def test_the_smallest_gpu_counts() -> None:
    assert budget(RTX_PRO_6000, RTX_5090, tensor_parallel=2) == budget(RTX_5090, RTX_5090, tensor_parallel=2)


def test_a_token_costs_the_same_whatever_the_split_and_weights_are_per_gpu() -> None:
    whole, split = budget(RTX_5090), budget(RTX_5090, RTX_5090, tensor_parallel=2)
    assert whole.kv_bytes_per_token == split.kv_bytes_per_token == 262144
    assert (whole.weights_gib, split.weights_gib) == (20.6, 10.3)


def test_the_engines_default_step_grows_with_the_card() -> None:
    assert budget(RTX_5090).max_num_batched_tokens == 2048
    assert budget(RTX_PRO_6000).max_num_batched_tokens == 8192
    assert budget(RTX_5090, max_num_batched_tokens=512).max_num_batched_tokens == 512


def test_audio_is_what_the_context_leaves_beside_an_answer_of_4096_tokens() -> None:
    assert budget(RTX_5090).audio_seconds == pytest.approx((16384 - 4096) / 12.5, abs=1)
    assert budget(RTX_5090, max_model_len=2048).audio_seconds == 0


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
