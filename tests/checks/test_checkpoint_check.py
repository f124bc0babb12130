"""The checkpoint: there, whole, and of a kind that is served; each fault with its files and what to type."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from support.facts import checkpoint, facts
from support.findings import R1, TOKENS, blocker, found_in, levels, with_checkpoint

from stepaudio_serve.facts.checkpoint import Fault, Weights

ABSENT = checkpoint(
    requested="Org/R1",
    path=Path("/data/models/R1"),
    exists=False,
    is_repository=True,
    problem="is not on this disk",
    weights=None,
)


def test_r1_is_described() -> None:
    assert "22.1 GB" in found_in()["checkpoint"].what


def test_a_repository_that_is_not_on_disk_is_refused_with_the_download() -> None:
    finding = blocker(facts(31, checkpoint=ABSENT))
    assert finding.id == "checkpoint-missing"
    assert finding.fix == "stepaudio-serve pull --model Org/R1"
    assert "/data/models" in finding.why
    assert "/hub" in finding.why


def test_one_whose_size_is_published_is_told_with_it() -> None:
    known = checkpoint(
        requested="Org/R1", exists=False, is_repository=True, published=True, weights=Weights(22_120_000_000, 0)
    )
    assert "(22.1 GB)" in found_in(facts(31, checkpoint=known))["checkpoint-missing"].what


@pytest.mark.parametrize(
    ("kind", "identity"),
    [
        ("missing", "checkpoint-incomplete"),
        ("truncated", "checkpoint-truncated"),
        ("damaged", "checkpoint-damaged"),
        ("lfs-pointer", "checkpoint-lfs-pointer"),
        ("unfinished", "checkpoint-unfinished"),
        ("dangling", "checkpoint-dangling"),
    ],
)
def test_a_fault_names_its_file_and_is_a_blocker_of_its_own(kind: str, identity: str) -> None:
    file = "model-00002-of-00005.safetensors"
    finding = blocker(with_checkpoint(faults=(Fault(kind, file, "so far"),), problem="is broken"))  # type: ignore[arg-type]
    assert finding.id == identity
    assert file in finding.what
    assert "1 of 5 shards" in finding.what
    assert "so far" in finding.why


def test_many_faults_are_summarised() -> None:
    faults = tuple(Fault("missing", f"model-{number:05}-of-00009.safetensors") for number in range(1, 8))
    what = blocker(with_checkpoint(faults=faults, problem="is broken")).what
    assert "7 of 9 shards are missing" in what
    assert "and 4 more" in what


def test_lfs_pointers_are_replaced_by_git_itself() -> None:
    fault = Fault("lfs-pointer", "model.safetensors")
    assert blocker(with_checkpoint(faults=(fault,), problem="x")).fix == "git -C /models/r1 lfs pull"


def test_a_broken_folder_is_mended_by_our_own_download() -> None:
    fault = Fault("truncated", "model.safetensors")
    fix = blocker(with_checkpoint(faults=(fault,), problem="x")).fix
    assert fix.startswith("stepaudio-serve pull --model OWNER/r1 --models-dir /models ")


def test_weights_that_the_index_does_not_name_are_a_warning() -> None:
    assert levels(with_checkpoint(faults=(Fault("extra", "old.safetensors"),))) == {"checkpoint-extra": "warning"}


def test_a_broken_folder_is_refused() -> None:
    finding = blocker(with_checkpoint(problem="has no config.json"))
    assert finding.id == "checkpoint-broken"
    assert "/models/r1 has no config.json" in finding.what


def test_a_broken_repository_is_fetched_again_to_where_it_was_found() -> None:
    broken = {"requested": "Org/R1", "is_repository": True, "problem": "has no config.json"}
    own = with_checkpoint(**broken, path=Path("/data/it's/R1"))
    fix = blocker(own, revision="v2", models_dir="/data/it's").fix
    words = ["stepaudio-serve", "pull", "--model", "Org/R1", "--revision", "v2", "--models-dir", "/data/it's"]
    assert shlex.split(fix) == words
    default = with_checkpoint(**broken, path=Path("/data/models/R1"))
    assert blocker(default).fix.endswith("--models-dir /data/models")
    cached = with_checkpoint(**broken, inside="snapshots/abc")
    assert blocker(cached).fix == "stepaudio-serve pull --model Org/R1"
    assert "pull" not in blocker(with_checkpoint(problem="is a file, not a folder")).fix


def test_a_revision_of_a_folder_is_said_to_choose_nothing() -> None:
    assert levels(revision="v2") == {"revision": "warning"}
    assert levels(with_checkpoint(is_repository=True, inside="snapshots/abc"), revision="v2") == {}


def test_a_rehearsal_needs_no_checkpoint() -> None:
    assert levels(facts(checkpoint=ABSENT), engine="rehearsal") == {}


def test_a_model_that_the_default_image_does_not_serve_is_refused_with_it_and_warned_of_with_another() -> None:
    other = with_checkpoint(architectures=("Qwen2AudioForConditionalGeneration",))
    assert blocker(other).id == "architecture"
    assert levels(other, image="mine:1") == {"architecture": "warning"}
    assert levels(other, runtime="process") == {"architecture": "warning"}


def test_upstream_serves_step_audio_by_the_plugin_and_of_other_models_nothing_is_known() -> None:
    assert levels(engine_image="upstream") == {}
    other = with_checkpoint(architectures=("Qwen2AudioForConditionalGeneration",))
    assert levels(other, engine_image="upstream") == {"architecture": "warning"}
    assert levels(other, engine_image="upstream", image="mine:1") == {"architecture": "warning"}


# ---- tokens


def test_a_tokenizer_without_the_models_tokens_is_warned_of() -> None:
    found = found_in(with_checkpoint(special_ids=TOKENS[:1], stop_ids=()))["special-tokens"]
    assert found.level == "warning"
    assert "<|EOT|>, <audio_patch>" in found.what
    assert "max_tokens" in found.why


def test_a_reasoning_parser_is_offered_where_the_tokenizer_can_drive_it() -> None:
    thinks = with_checkpoint(special_ids=(*TOKENS, ("<think>", 8), ("</think>", 9)))
    assert "--reasoning-parser deepseek_r1" in found_in(thinks)["reasoning-parser"].what
    assert "reasoning-parser" not in found_in()
    assert "reasoning-parser" not in found_in(thinks, engine_args=("--reasoning-parser", "deepseek_r1"))


def test_with_the_plugin_its_own_parser_is_offered_where_no_guard_tells_the_thinking_apart() -> None:
    thinks = with_checkpoint(special_ids=(*TOKENS, ("<think>", 6), ("</think>", 7)))
    offered = found_in(thinks, engine_image="upstream", guard=False)["reasoning-parser"]
    assert "--reasoning-parser step_audio" in offered.what
    assert "reasoning-parser" not in found_in(thinks, engine_image="upstream")
    given = ("--reasoning-parser", "step_audio")
    assert "reasoning-parser" not in found_in(thinks, engine_image="upstream", guard=False, engine_args=given)


@pytest.mark.parametrize("words", [("--reasoning-parser", "deepseek_r1"), ("--reasoning-parser=deepseek_r1",)])
def test_a_reasoning_parser_that_would_fail_every_request_is_refused(words: tuple[str, ...]) -> None:
    assert "<think> and </think>" in blocker(engine_args=words).what
    half = with_checkpoint(special_ids=(*TOKENS, ("</think>", 9)))
    assert blocker(half, engine_args=words).fix == "-- --reasoning-parser step3"
    assert levels(half, engine_args=("--reasoning-parser", "step3")) == {}


def test_a_missing_generation_config_is_a_note() -> None:
    assert found_in(with_checkpoint(generation_config=None))["generation-config"].level == "note"
    assert R1.generation_config is not None
    assert "generation-config" not in found_in()
