"""What holds for every machine: more never gives less, what fits fits, and what is suggested works."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from support.facts import FACTS, GIB, R1

from stepaudio_serve.checks.launch import check_launch
from stepaudio_serve.checks.memory import check_memory
from stepaudio_serve.facts.checkpoint import Quantization, Weights
from stepaudio_serve.facts.checkpoint.published import as_published
from stepaudio_serve.facts.gpu import Gpu, Gpus
from stepaudio_serve.plan.build import make_plan
from stepaudio_serve.plan.memory.share import token_bytes_on_each
from stepaudio_serve.plan.sizing import choose_sizes
from stepaudio_serve.settings.options import Settings

if TYPE_CHECKING:
    from stepaudio_serve.facts.checkpoint import Checkpoint
    from stepaudio_serve.facts.gather import Facts

NVFP4 = replace(R1, weights=Weights(split=20_803_747_840, whole=1_314_000_000))
BF16 = replace(R1, weights=Weights(split=65_661_829_120, whole=1_314_000_000))
ROUNDED = 0.03
"""GiB by which a sum of figures with two decimals may be off."""

models = st.sampled_from([NVFP4, BF16])
cards = st.one_of(st.integers(8 * 1024, 200 * 1024), st.integers(22 * 1024, 48 * 1024))
utilizations = st.integers(30, 100).map(lambda percent: percent / 100)
steps = st.sampled_from(["auto", 512, 1024, 2048, 8192])
lengths = st.one_of(st.just("auto"), st.integers(256, 100_000))


def gpus(*sizes_mib: int, free: float = 1.0) -> Gpus:
    """GPUs of one kind as far as their sizes are the same; of each, this share is free."""
    return Gpus(tuple(Gpu(i, "card", f"GPU-{i}", size, int(size * free), "12.0") for i, size in enumerate(sizes_mib)))


def tokens(settings: Settings, model: Checkpoint, found: Gpus) -> int:
    held = choose_sizes(settings, model, found).memory.kv_tokens
    assert held is not None
    return held


@st.composite
def machines(draw: st.DrawFn) -> Gpus:
    """Up to four GPUs, alike or not, some of them taken in part."""
    count = draw(st.integers(1, 4))
    size = draw(cards)
    sizes = [size] * count if draw(st.booleans()) else draw(st.lists(cards, min_size=count, max_size=count))
    return gpus(*sizes, free=draw(st.sampled_from([1.0, 1.0, 0.95, 0.6])))


@st.composite
def mixed_machines(draw: st.DrawFn) -> Gpus:
    """The same, of several generations: what is suggested must be able to compute the weights, too."""
    found = draw(machines()).found
    kinds = draw(st.lists(st.sampled_from(["12.0", "8.9", "7.5", "12.1"]), min_size=len(found), max_size=len(found)))
    return Gpus(tuple(replace(gpu, compute_capability=kind) for gpu, kind in zip(found, kinds, strict=True)))


@st.composite
def wishes(draw: st.DrawFn) -> Settings:
    """Settings of which any may be left to us."""
    changes: dict[str, Any] = {
        "gpus": draw(st.sampled_from(["all", "0"])),
        "max_model_len": draw(lengths),
        "max_num_seqs": draw(st.sampled_from([1, 4, 32, 600])),
        "max_num_batched_tokens": draw(steps),
        "gpu_memory_utilization": draw(utilizations),
        "tensor_parallel_size": draw(st.sampled_from(["auto", "auto", 1, 2, 3])),
        "recipe": draw(st.sampled_from(["stepaudio-serve", "stepaudio-serve", "model-card"])),
    }
    return Settings(**changes)


def with_flags(settings: Settings, words: tuple[str, ...]) -> Settings:
    """These settings with flags as they would be typed."""
    names = [word.removeprefix("--").replace("-", "_") for word in words[::2]]
    return Settings.model_validate({**settings.model_dump(), **dict(zip(names, words[1::2], strict=True))})


def blockers(settings: Settings, facts: Facts) -> list[str]:
    found = check_memory(settings, facts, make_plan(settings, facts))
    return [finding.id for finding in found if finding.level == "blocker"]


@given(models, cards, st.integers(0, 64 * 1024), utilizations, st.sampled_from([512, 1024, 2048, 8192]))
def test_more_memory_never_gives_fewer_tokens(
    model: Checkpoint, size: int, more: int, utilization: float, step: int
) -> None:
    settings = Settings(gpu_memory_utilization=utilization, max_num_batched_tokens=step)
    assert tokens(settings, model, gpus(size + more)) >= tokens(settings, model, gpus(size))


@given(models, cards, st.integers(0, 64 * 1024), utilizations, st.integers(1, 4))
def test_more_memory_never_gives_less_context(
    model: Checkpoint, size: int, more: int, utilization: float, count: int
) -> None:
    settings = Settings(gpu_memory_utilization=utilization, max_model_len="auto")
    small = choose_sizes(settings, model, gpus(*[size] * count))
    large = choose_sizes(settings, model, gpus(*[size + more] * count))
    assert large.max_model_len >= small.max_model_len
    assert bool(large.memory.fits) >= bool(small.memory.fits)


@given(models, cards, utilizations, st.sampled_from([(1, 2), (2, 4), (4, 8), (1, 8)]), steps)
def test_more_gpus_never_give_fewer_tokens(
    model: Checkpoint, size: int, utilization: float, few_and_many: tuple[int, int], step: object
) -> None:
    few, many = (
        Settings.model_validate(
            {"gpu_memory_utilization": utilization, "tensor_parallel_size": split, "max_num_batched_tokens": step}
        )
        for split in few_and_many
    )
    eight = gpus(*[size] * 8)
    assert tokens(many, model, eight) >= tokens(few, model, eight)


@hypothesis_settings(max_examples=300)  # about every eighth fits
@given(models, machines(), wishes())
def test_what_fits_never_exceeds_the_budget(model: Checkpoint, found: Gpus, settings: Settings) -> None:
    memory = choose_sizes(settings, model, found).memory
    if not memory.fits:
        return
    assert model.text is not None
    assert memory.kv_tokens is not None
    assert memory.max_model_len is not None
    assert memory.tensor_parallel_size is not None
    assert None not in (memory.weights_gib, memory.activation_gib, memory.encoder_gib, memory.budget_gib)
    cache = memory.kv_tokens * token_bytes_on_each(model.text, memory.tensor_parallel_size, 2) / GIB
    spent = (memory.weights_gib or 0) + (memory.activation_gib or 0) + (memory.encoder_gib or 0) + cache
    assert spent <= (memory.budget_gib or 0) + ROUNDED
    assert memory.kv_tokens >= memory.max_model_len


@hypothesis_settings(max_examples=300, deadline=None)  # a suggestion is made for about every fourth
@given(models, machines(), wishes())
def test_every_suggestion_works(model: Checkpoint, found: Gpus, settings: Settings) -> None:
    facts = replace(FACTS, checkpoint=model, gpus=found)
    nearest = make_plan(settings, facts).memory.nearest
    if nearest:
        changed = with_flags(settings, nearest)
        assert make_plan(changed, facts).memory.fits is True
        assert blockers(changed, facts) == []


@hypothesis_settings(max_examples=300, deadline=None)
@given(models, mixed_machines(), wishes())
def test_every_suggestion_is_for_gpus_that_can_compute_it(model: Checkpoint, found: Gpus, settings: Settings) -> None:
    facts = replace(FACTS, checkpoint=replace(model, quantization=Quantization("nvfp4")), gpus=found)
    nearest = make_plan(settings, facts).memory.nearest
    if nearest:
        changed = with_flags(settings, nearest)
        found_now = check_launch(changed, facts, make_plan(changed, facts))
        assert [it.id for it in found_now if it.level == "blocker" and it.group in {"memory", "hardware", "gpu"}] == []


@hypothesis_settings(deadline=None)  # the first reads data files
@given(models, machines(), wishes())
def test_every_fix_that_is_flags_works(model: Checkpoint, found: Gpus, settings: Settings) -> None:
    facts = replace(FACTS, checkpoint=model, gpus=found)
    for finding in check_memory(settings, facts, make_plan(settings, facts)):
        if finding.level == "blocker" and finding.fix.startswith("--"):
            changed = with_flags(settings, tuple(shlex.split(finding.fix, comments=True)))
            other = as_published(replace(model, requested=changed.model))
            left = blockers(changed, replace(facts, checkpoint=other) if "--model" in finding.fix.split() else facts)
            # where nothing on this machine fits, putting one thing right leaves the memory as it is
            assert finding.id not in left
