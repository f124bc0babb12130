"""What is left to us is chosen for context first, then for requests at a time, and every choice is explained."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.facts import R1, RTX_5090, RTX_PRO_6000, cards

from stepaudio_serve.facts.checkpoint import TextShape, Weights
from stepaudio_serve.facts.gpu import Gpus, MigSlice
from stepaudio_serve.plan.nearest import nearest_that_fits
from stepaudio_serve.plan.sizing import Sizes, choose_sizes
from stepaudio_serve.settings.options import Settings

if TYPE_CHECKING:
    from stepaudio_serve.facts.checkpoint import Checkpoint

NVFP4 = replace(R1, weights=Weights(split=20_803_747_840, whole=1_314_000_000))


def sizes(*sizes_gib: float, model: Checkpoint = NVFP4, **settings: Any) -> Sizes:
    return choose_sizes(Settings(**settings), model, cards(sizes_gib))


def why(chosen: Sizes, note: str) -> str:
    (said,) = [f"{item.what}: {item.why}" for item in chosen.notes if item.id == note]
    return said


# ---- how many GPUs


def test_one_gpu_that_is_enough_for_the_requests_is_taken_alone() -> None:
    chosen = sizes(RTX_PRO_6000, RTX_PRO_6000, max_num_seqs=8)
    assert chosen.tensor_parallel_size == 1
    assert "enough for 8 requests" in why(chosen, "tensor-parallel")


def test_more_gpus_are_taken_while_requests_would_have_to_wait() -> None:
    chosen = sizes(RTX_PRO_6000, RTX_PRO_6000, max_num_seqs=32)
    assert chosen.tensor_parallel_size == 2
    assert "over 2 of 2" in why(chosen, "tensor-parallel")


def test_context_comes_before_the_fewest_gpus() -> None:
    assert sizes(RTX_5090, RTX_5090, max_model_len="auto", max_num_seqs=1).tensor_parallel_size == 2


def test_a_number_that_does_not_divide_the_heads_is_not_taken() -> None:
    chosen = sizes(*[RTX_5090] * 3, gpus="0,1,2")
    assert chosen.tensor_parallel_size == 2
    assert "cannot be divided into 3" in why(chosen, "tensor-parallel")


def test_chosen_gpus_are_all_used() -> None:
    assert sizes(*[RTX_PRO_6000] * 2, gpus="0,1", max_num_seqs=1).tensor_parallel_size == 2


def test_gpus_of_different_kinds_do_not_share_a_model() -> None:
    chosen = sizes(RTX_5090, RTX_PRO_6000)
    assert chosen.tensor_parallel_size == 1
    assert "they differ" in why(chosen, "tensor-parallel")
    assert chosen.memory.kv_tokens == sizes(RTX_5090).memory.kv_tokens


def test_a_program_sees_one_mig_slice_only() -> None:
    slices = tuple(MigSlice(f"{i}:0", f"MIG-{i}", "3g.47gb", 47 * 1024, 47 * 1024) for i in range(2))
    found = tuple(
        replace(gpu, mig=True, slices=(item,)) for gpu, item in zip(cards([94, 94]).found, slices, strict=True)
    )
    chosen = choose_sizes(Settings(), NVFP4, Gpus(found))
    assert chosen.tensor_parallel_size == 1
    assert "one MIG slice" in why(chosen, "tensor-parallel")
    assert choose_sizes(Settings(tensor_parallel_size=2), NVFP4, Gpus(found)).memory.fits is False
    nearest = nearest_that_fits(Settings(tensor_parallel_size=2), NVFP4, Gpus(found))
    assert nearest == ("--tensor-parallel-size", "1")


@pytest.mark.parametrize("gpus", ["all", "0", "GPU-0000", "0:0", "MIG-0"])
def test_a_gpu_in_mig_mode_is_its_first_slice_by_whichever_name(gpus: str) -> None:
    (whole,) = cards([94]).found
    slices = tuple(MigSlice(f"0:{i}", f"MIG-{i}", "3g.47gb", 47 * 1024, 47 * 1024) for i in range(2))
    (device,) = choose_sizes(Settings(gpus=gpus), NVFP4, Gpus((replace(whole, mig=True, slices=slices),))).devices
    assert device.id == "0:0"
    assert device.memory_total_mib == 47 * 1024


@pytest.mark.parametrize("gpus", ["all", "0"])
def test_a_gpu_in_mig_mode_without_a_slice_is_no_memory_to_count_on(gpus: str) -> None:
    (whole,) = cards([94]).found
    assert choose_sizes(Settings(gpus=gpus), NVFP4, Gpus((replace(whole, mig=True),))).memory.fits is None


def test_gpus_that_are_not_known_are_all_used_as_asked() -> None:
    assert choose_sizes(Settings(gpus="0,1"), NVFP4, Gpus(())).tensor_parallel_size == 2
    assert choose_sizes(Settings(), NVFP4, Gpus(())).tensor_parallel_size == 1


def test_two_rtx_5090_hold_what_was_computed() -> None:
    chosen = sizes(RTX_5090, RTX_5090, model=R1, max_num_batched_tokens=2048)
    assert chosen.memory.kv_tokens == pytest.approx(116_000, rel=0.1)


# ---- how many tokens a step


def test_a_small_card_takes_a_smaller_step() -> None:
    chosen = sizes(RTX_5090)
    assert chosen.max_num_batched_tokens == 1024
    assert "2,048 sets more aside for the audio encoder" in why(chosen, "max-num-batched-tokens")


def test_a_large_card_keeps_the_engines_step_and_says_what_the_next_would_give() -> None:
    chosen = sizes(RTX_PRO_6000)
    assert chosen.max_num_batched_tokens == 8192
    assert 11.7 <= (chosen.memory.concurrency or 0) <= 14.3
    assert "--max-num-batched-tokens 4096 would give" in why(chosen, "max-num-batched-tokens")


def test_a_step_holds_every_sequence() -> None:
    assert sizes(24.0, max_num_seqs=700).max_num_batched_tokens == 700
    assert sizes(24.0).max_num_batched_tokens == 512


def test_without_the_cards_size_the_step_is_left_to_the_engine() -> None:
    assert choose_sizes(Settings(), NVFP4, Gpus(())).max_num_batched_tokens is None
    set_by_hand = choose_sizes(Settings(max_num_batched_tokens=1024), NVFP4, Gpus(()))
    assert set_by_hand.max_num_batched_tokens == 1024


# ---- how long a context


def test_an_automatic_context_leaves_a_tenth_of_the_estimate() -> None:
    chosen = sizes(RTX_5090, max_model_len="auto")
    tokens = chosen.memory.kv_tokens or 0
    assert chosen.max_model_len % 256 == 0
    assert tokens * 0.9 - 256 < chosen.max_model_len <= tokens * 0.9
    assert "off by a tenth" in why(chosen, "max-model-len-auto")


def test_an_automatic_context_is_never_longer_than_the_model_was_made_for() -> None:
    chosen = sizes(RTX_PRO_6000, max_model_len="auto")
    assert chosen.max_model_len == 65536
    assert "no longer context" in why(chosen, "max-model-len-auto")
    small = replace(NVFP4, text=TextShape(64, 8, 128, 40, max_positions=2048))
    assert sizes(RTX_PRO_6000, model=small, max_model_len="auto").max_model_len == 2048


def test_an_automatic_context_holds_an_answer_beside_a_clip_or_does_not_fit() -> None:
    chosen = sizes(24.5, max_model_len="auto")
    assert chosen.max_model_len == 4608
    assert chosen.memory.fits is False
    assert "no use" in why(chosen, "max-model-len-auto")


def test_an_automatic_context_is_the_default_where_nothing_is_known() -> None:
    chosen = choose_sizes(Settings(max_model_len="auto"), NVFP4, Gpus(()))
    assert chosen.max_model_len == 16384
    assert "not known" in why(chosen, "max-model-len-auto")


def test_a_context_that_was_set_stays() -> None:
    assert sizes(RTX_5090, max_model_len=60_000).max_model_len == 60_000


# ---- others


def test_the_model_cards_recipe_has_the_engines_defaults_and_an_estimate() -> None:
    chosen = sizes(RTX_5090, RTX_5090, recipe="model-card")
    assert (chosen.tensor_parallel_size, chosen.max_num_batched_tokens) == (1, None)
    assert chosen.memory.max_num_batched_tokens == 2048
    assert chosen.notes == ()


def test_a_rehearsal_takes_no_gpu_memory() -> None:
    chosen = sizes(RTX_5090, engine="rehearsal")
    assert chosen.memory.fits is None
    assert chosen.notes == ()


# ---- the nearest settings that fit


@pytest.mark.parametrize(
    ("sizes_gib", "settings", "nearest"),
    [
        ([RTX_5090], {"max_num_batched_tokens": 8192}, "--max-num-batched-tokens 2048"),
        ([RTX_5090], {"gpu_memory_utilization": 0.8}, "--gpu-memory-utilization 0.84"),
        ([RTX_5090] * 2, {"tensor_parallel_size": 1, "max_model_len": 60_000}, "--tensor-parallel-size 2"),
        ([RTX_5090] * 2, {"gpus": "0", "max_model_len": 60_000}, "--gpus 0,1"),
        ([RTX_5090], {"max_model_len": 60_000}, "--max-model-len"),
        (
            [RTX_5090] * 2,
            {"tensor_parallel_size": 1, "max_model_len": 70_000},
            "--tensor-parallel-size 2 --max-model-len 65536",
        ),
        ([24.0], {}, ""),
        ([RTX_PRO_6000], {}, ""),
    ],
    ids=["step", "share", "split", "GPUs", "length", "split, and no more than the model has", "none", "not needed"],
)
def test_the_nearest_settings_change_as_little_as_possible(
    sizes_gib: list[float], settings: dict[str, Any], nearest: str
) -> None:
    found = " ".join(nearest_that_fits(Settings(**settings), NVFP4, cards(sizes_gib)))
    assert found.startswith(nearest)
    assert found.count("--") == nearest.count("--")
