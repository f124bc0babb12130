"""What can be wrong with a checkpoint folder; each fault is told apart from its neighbours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.checkpoints import (
    INDEX,
    as_snapshot,
    change_json,
    damage,
    fabricate,
    lfs_pointer,
    shard_name,
    truncate,
    unfinished,
    write_json,
    write_shard,
)

from stepaudio_serve.facts.checkpoint import Checkpoint, find_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

SECOND = shard_name(2, 5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole checkpoint of five shards."""
    return fabricate(tmp_path / "r1", "tiny")


def look(folder: Path) -> Checkpoint:
    return find_checkpoint(str(folder), models_dir=folder / "none", hub_cache=folder / "none")


def faults(folder: Path) -> set[tuple[str, str]]:
    return {(fault.kind, fault.file) for fault in look(folder).faults}


# ---- shards


def test_a_shard_that_the_index_names_is_missing(folder: Path) -> None:
    (folder / SECOND).unlink()
    found = look(folder)
    assert found.problem == f"has no {SECOND} (named by {INDEX})"
    assert faults(folder) == {("missing", SECOND)}
    assert found.weights is None


def test_without_an_index_the_numbers_of_the_others_tell_what_is_missing(folder: Path) -> None:
    (folder / INDEX).unlink()
    (folder / SECOND).unlink()
    assert faults(folder) == {("missing", SECOND)}


def test_a_truncated_shard_is_told_by_how_much_and_weighed_by_its_header(folder: Path) -> None:
    whole, size = look(folder).weights, (folder / SECOND).stat().st_size
    truncate(folder / SECOND, size - 2000)
    found = look(folder)
    assert found.problem == f"has a truncated {SECOND}: its last 2 kB are missing"
    assert faults(folder) == {("truncated", SECOND)}
    assert found.weights == whole


def test_a_damaged_shard_leaves_the_weight_unknown(folder: Path) -> None:
    damage(folder / SECOND)
    found = look(folder)
    assert found.problem.startswith(f"has a {SECOND} that cannot be read")
    assert faults(folder) == {("damaged", SECOND)}
    assert found.weights is None


def test_a_git_lfs_pointer_says_what_it_stands_for(folder: Path) -> None:
    lfs_pointer(folder / SECOND)
    assert look(folder).problem == f"has a Git LFS pointer in place of {SECOND} (4.9 GB)"
    assert faults(folder) == {("lfs-pointer", SECOND)}


def test_a_shard_that_the_index_does_not_name_does_no_harm(folder: Path) -> None:
    before = look(folder).weights
    (folder / "consolidated.safetensors").write_bytes(b"junk")
    assert faults(folder) == {("extra", "consolidated.safetensors")}
    assert look(folder).problem == ""
    assert look(folder).weights == before


def test_a_shard_without_the_tensors_that_the_index_maps_to_it(folder: Path) -> None:
    write_shard(folder / SECOND)
    assert faults(folder) == {("damaged", SECOND)}
    assert "it lacks" in look(folder).problem


def test_a_folder_in_place_of_a_shard(folder: Path) -> None:
    (folder / SECOND).unlink()
    (folder / SECOND).mkdir()
    assert faults(folder) == {("damaged", SECOND)}


def test_a_link_to_nothing(folder: Path) -> None:
    (folder / SECOND).unlink()
    (folder / SECOND).symlink_to("gone")
    assert faults(folder) == {("dangling", SECOND)}
    assert look(folder).problem == f"has no {SECOND}: a link to nothing"


def test_of_several_faults_the_first_is_told_and_the_others_are_counted(folder: Path) -> None:
    for number in (2, 3, 4):
        (folder / shard_name(number, 5)).unlink()
    problem = look(folder).problem
    assert SECOND in problem
    assert problem.endswith("and 2 more of its files are missing or broken")


# ---- the index


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "{}", '{"weight_map": {}}', '{"weight_map": []}', '{"weight_map": {"a": 7}}']
    + [f'{{"weight_map": {{"a": "{name}"}}}}' for name in ("../x.safetensors", "/x.safetensors", "x.bin")],
)
def test_a_broken_index_is_a_fault(content: str, folder: Path) -> None:
    (folder / INDEX).write_text(content)
    assert faults(folder) == {("damaged", INDEX)}
    assert look(folder).weights is None


def test_an_index_that_is_a_link_to_nothing(folder: Path) -> None:
    (folder / INDEX).unlink()
    (folder / INDEX).symlink_to("gone")
    assert faults(folder) == {("dangling", INDEX)}


# ---- downloads


@pytest.mark.parametrize("by", ["huggingface_hub", "browser", "part"])
def test_an_unfinished_download_explains_what_is_missing(by: str, folder: Path) -> None:
    leftover = unfinished(folder / SECOND, by=by)  # type: ignore[arg-type]
    assert faults(folder) == {("missing", SECOND), ("unfinished", leftover.name)}
    assert look(folder).problem == f"has no {SECOND} (named by {INDEX}); a download was not finished"


def test_a_download_that_has_only_begun(folder: Path) -> None:
    for number in range(2, 6):
        (folder / shard_name(number, 5)).unlink()
    unfinished(folder / shard_name(1, 5))
    assert look(folder).problem.startswith("has no weights (*.safetensors)")
    assert "not finished" in look(folder).problem


def test_an_old_leftover_beside_a_whole_checkpoint_is_no_fault(folder: Path) -> None:
    shard = (folder / SECOND).read_bytes()
    unfinished(folder / SECOND)
    (folder / SECOND).write_bytes(shard)
    assert faults(folder) == set()


def test_a_file_that_aria2_has_laid_out_is_not_believed(folder: Path) -> None:
    unfinished(folder / SECOND, by="aria2")
    assert faults(folder) == {("unfinished", f"{SECOND}.aria2")}
    assert look(folder).problem == f"is not downloaded to its end: {SECOND}.aria2 is left over"


def test_an_unfinished_download_into_the_hubs_cache(folder: Path, tmp_path: Path) -> None:
    snapshot = as_snapshot(folder, tmp_path / "hub")
    assert faults(snapshot) == set()
    blob = (snapshot / SECOND).resolve()
    (snapshot / SECOND).unlink()
    blob.rename(blob.with_name("0f0f0f.1a2b3c4d.incomplete"))
    assert faults(snapshot) == {("missing", SECOND), ("unfinished", "0f0f0f.1a2b3c4d.incomplete")}


# ---- the small files


def test_no_config_is_said_first_and_the_rest_is_still_looked_at(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / SECOND).unlink()
    assert look(folder).problem == "has no config.json, and 1 more of its files are missing or broken"
    assert faults(folder) == {("missing", "config.json"), ("missing", SECOND)}


def test_a_config_that_is_a_link_to_nothing(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("gone")
    assert look(folder).problem == "has no config.json: a link to nothing"


def test_no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    assert look(folder).problem == "has no tokenizer (tokenizer.json, or vocab.json with merges.txt)"
    (folder / "vocab.json").write_text("{}")
    assert faults(folder) == {("missing", "tokenizer")}


def test_a_tokenizer_that_did_not_arrive(folder: Path) -> None:
    truncate(folder / "tokenizer.json")
    assert faults(folder) == {("truncated", "tokenizer.json")}
    lfs_pointer(folder / "tokenizer.json", 11_000_000)
    assert look(folder).problem == "has a Git LFS pointer in place of tokenizer.json (11 MB)"
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").symlink_to("gone")
    assert faults(folder) == {("dangling", "tokenizer.json")}


@pytest.mark.parametrize("value", [7, "x", [7], {"A": {"b": 1}}, {"A": "\0.x"}, {"A": "../../x.y"}, None])
def test_odd_values_in_a_config_raise_nothing(value: object, folder: Path) -> None:
    for key in ("architectures", "auto_map", "quantization_config", "text_config", "audio_encoder_config"):
        change_json(folder / "config.json", {key: value})
        assert look(folder).problem == ""


def test_odd_small_files_raise_nothing(folder: Path) -> None:
    for name in ("tokenizer_config", "added_tokens", "generation_config", "processor_config"):
        write_json(folder / f"{name}.json", [json.dumps({})])
    assert look(folder).problem == ""
