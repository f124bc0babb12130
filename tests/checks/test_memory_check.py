"""What stands against a start for want of memory, with what to type."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.facts import FACTS, R1, facts, machine

from stepaudio_serve.checks.memory import check_memory
from stepaudio_serve.facts.checkpoint import Weights
from stepaudio_serve.facts.gpu import GpuProcess, Gpus
from stepaudio_serve.facts.host import HostFacts
from stepaudio_serve.plan.build import make_plan
from stepaudio_serve.settings.options import Settings

if TYPE_CHECKING:
    from stepaudio_serve.facts.gather import Facts
    from stepaudio_serve.finding import Finding

NVFP4 = replace(R1, weights=Weights(split=20_803_747_840, whole=1_314_000_000))

R1_BF16 = replace(R1, weights=Weights(split=65_661_829_120, whole=1_314_000_000))


def card(name: str) -> Facts:
    return machine(name, checkpoint=NVFP4)


def checked(found: Facts, *, replacing: bool = False, **settings: Any) -> dict[str, Finding]:
    wish = Settings(**settings)
    findings = check_memory(wish, found, make_plan(wish, found), replacing=replacing)
    return {finding.id: finding for finding in findings}


def with_gpus(found: Facts, **changes: Any) -> Facts:
    return replace(found, gpus=Gpus(tuple(replace(gpu, **changes) for gpu in found.gpus.found)))


# ---- does it fit


def test_what_fits_says_how_much() -> None:
    fits = checked(card("rtx-pro-6000"))["memory"]
    assert fits.level == "ok"
    assert "13 full contexts of 16,384 tokens" in fits.what
    assert "983 s of audio" in fits.what


def test_one_context_at_a_time_is_said() -> None:
    found = checked(card("rtx-5090"))
    assert found["memory"].level == "ok"
    assert "1 full context of" in found["memory"].what
    assert found["concurrency"].level == "note"
    assert found["concurrency"].what == "one full context at a time, not 32"


def test_few_requests_need_no_word_about_concurrency() -> None:
    assert "concurrency" not in checked(card("rtx-5090"), max_num_seqs=1)


def test_what_does_not_fit_says_needed_and_usable_and_what_would() -> None:
    found = checked(card("rtx-5090"), max_model_len=40_000)["memory"]
    assert found.level == "blocker"
    assert "40,000" in found.what
    assert "GiB on each GPU" in found.why
    assert "usable" in found.why
    assert shlex.split(found.fix)[0] == "--max-model-len"


def test_a_24_gb_card_is_told_which_machine_would_do() -> None:
    found = checked(card("rtx-4090"))["memory"]
    assert found.level == "blocker"
    assert "no setting that leaves room for an answer of 4,096 tokens beside a clip (4,608 in all)" in found.why
    assert "with tensor_parallel_size" not in found.why
    assert found.fix == "stepaudio-serve plan --for rtx-5090"


def test_several_cards_that_are_too_small_are_told_the_split_that_the_figure_is_for() -> None:
    found = checked(facts(12.0, 12.0, checkpoint=R1_BF16))["memory"]
    assert found.what == "the model does not fit"
    assert "GiB on each GPU with tensor_parallel_size " in found.why


def test_an_automatic_context_that_does_not_fit_is_told_where_auto_ends() -> None:
    found = checked(card("rtx-4090"), gpu_memory_utilization=0.97, max_model_len="auto")["memory"]
    assert "one context of 4,608 tokens" in found.why
    assert "auto goes no lower" in found.why


def test_weights_of_16_bit_are_told_of_those_of_4_where_they_fit() -> None:
    fix = checked(machine("rtx-5090", checkpoint=R1_BF16))["memory"].fix
    assert fix.startswith("--model Firworks/Step-Audio-R1-nvfp4")
    assert checked(machine("rtx-4090", checkpoint=R1_BF16))["memory"].fix.startswith("stepaudio-serve")
    old = with_gpus(machine("rtx-5090", checkpoint=R1_BF16), compute_capability="7.0")
    assert checked(old)["memory"].fix.startswith("stepaudio-serve")


def test_gpus_that_are_not_there_hold_nothing() -> None:
    found = checked(card("rtx-5090"), tensor_parallel_size=3)
    assert "tensor-parallel-size" not in found
    assert (found["memory"].level, found["memory"].what) == ("note", "whether it fits is not known")
    assert "1 will be there" in found["memory"].why


def test_a_fit_within_a_tenth_is_a_warning_with_a_length_that_is_safe() -> None:
    tokens = make_plan(Settings(), card("rtx-5090")).memory.kv_tokens or 0
    close = checked(card("rtx-5090"), max_model_len=tokens - 100, max_num_batched_tokens=1024)["memory"]
    assert close.level == "warning"
    assert "off by a tenth" in close.why
    flag, length = close.fix.split()
    assert flag == "--max-model-len"
    again = checked(card("rtx-5090"), max_model_len=int(length), max_num_batched_tokens=1024)["memory"]
    assert again.level == "ok"


def test_an_automatic_context_is_not_close() -> None:
    assert checked(card("rtx-5090"), max_model_len="auto")["memory"].level == "ok"


def test_what_is_not_known_is_a_note() -> None:
    found = checked(replace(FACTS, gpus=Gpus((), absence="no NVIDIA driver is installed")))
    assert found.keys() == {"memory"}
    assert found["memory"].level == "note"
    assert "no NVIDIA driver" in found["memory"].why


@pytest.mark.parametrize("settings", [{"engine": "rehearsal"}, {"gpus": "none"}])
def test_nothing_is_said_where_no_gpu_is_used(settings: dict[str, Any]) -> None:
    assert checked(card("rtx-4090"), **settings) == {}


# ---- what no memory cures


def test_more_positions_than_the_model_has() -> None:
    found = checked(card("rtx-pro-6000"), max_model_len=70_000)["max-model-len"]
    assert found.level == "blocker"
    assert "65,536 positions" in found.why
    assert found.fix == "--max-model-len 65536"


def test_a_split_that_does_not_divide_the_heads() -> None:
    found = checked(machine("l40s-x4", checkpoint=NVFP4), tensor_parallel_size=3)["tensor-parallel-size"]
    assert found.level == "blocker"
    assert "40 attention heads and 8 KV heads" in found.why
    assert found.fix.startswith("--tensor-parallel-size ")
    assert "tensor-parallel-size" not in checked(machine("l40s-x4", checkpoint=NVFP4), tensor_parallel_size=2)


# ---- memory that is taken


def test_a_busy_gpu_is_told_with_who_holds_it_and_what_works_beside() -> None:
    holders = (GpuProcess(77, "python3", 6 * 1024), GpuProcess(12, "Xorg", 512))
    busy = with_gpus(card("rtx-pro-6000"), memory_free_mib=90_000 - 6 * 1024, processes=holders)
    found = checked(busy)["gpu-busy"]
    assert found.level == "blocker"
    assert found.why.startswith("held by python3 (pid 77, 6.0 GiB), Xorg (pid 12, 0.5 GiB)")
    flag, share = found.fix.split()
    assert flag == "--gpu-memory-utilization"
    assert "gpu-busy" not in checked(busy, gpu_memory_utilization=float(share))


def test_a_gpu_too_busy_for_any_setting_is_to_be_looked_at() -> None:
    full = with_gpus(card("rtx-5090"), memory_free_mib=4096)
    assert checked(full)["gpu-busy"].fix.startswith("nvidia-smi")


def test_memory_that_a_deployment_to_be_replaced_may_hold_is_a_note() -> None:
    full = with_gpus(card("rtx-5090"), memory_free_mib=4096)
    assert checked(full, replacing=True)["gpu-busy"].level == "note"


def test_unified_memory_is_freed_by_dropping_the_file_cache() -> None:
    full = with_gpus(machine("gb10", checkpoint=NVFP4), memory_free_mib=8192)
    found = checked(full)["gpu-busy"]
    assert "file cache" in found.why
    assert "drop_caches" in found.fix


def test_enough_free_memory_needs_no_word() -> None:
    assert "gpu-busy" not in checked(card("rtx-5090"))


# ---- beside the budget


def test_a_share_that_leaves_nothing_for_cuda_graphs() -> None:
    found = checked(card("rtx-pro-6000"), gpu_memory_utilization=1.0)["cuda-graphs"]
    assert found.level == "warning"
    assert found.fix == "--gpu-memory-utilization 0.98"
    assert "cuda-graphs" not in checked(card("rtx-pro-6000"), gpu_memory_utilization=0.98)
    assert "cuda-graphs" not in checked(
        card("rtx-pro-6000"), gpu_memory_utilization=1.0, engine_args=("--enforce-eager",)
    )


def test_a_host_with_less_memory_than_the_weights() -> None:
    small = replace(facts(31.36, checkpoint=NVFP4), host=HostFacts(16 * 1024, 8 * 1024))
    found = checked(small)["host-memory"]
    assert found.level == "note"
    assert "16 GiB" in found.what
    assert "host-memory" not in checked(replace(small, host=HostFacts(64 * 1024, 8 * 1024)))
