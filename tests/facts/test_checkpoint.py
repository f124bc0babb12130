"""What is read in a checkpoint folder, and how a broken one is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.checkpoints import write_shard

from stepaudio_serve.facts.checkpoint import Checkpoint, find_checkpoint

R1_CONFIG = {
    "architectures": ["StepAudio2ForCausalLM"],
    "auto_map": {"AutoConfig": "configuration_step_audio_2.StepAudio2Config"},
    "text_config": {
        "hidden_size": 5120,
        "num_hidden_layers": 64,
        "num_attention_heads": 40,
        "num_attention_groups": 8,
        "max_position_embeddings": 65536,
    },
}


def write(folder: Path, **files: Any) -> Path:
    """A checkpoint folder; keywords are file names without .json."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {"config": R1_CONFIG, "tokenizer": {}, **files}.items():
        (folder / f"{name}.json").write_text(json.dumps(content), "utf-8")
    write_shard(folder / "model-00001-of-00002.safetensors", [("encoder.a", "U8", (700,))])
    write_shard(folder / "model-00002-of-00002.safetensors", [("encoder.b", "U8", (300,))])
    return folder


def find(model: str | Path, home: Path, revision: str | None = None) -> Checkpoint:
    return find_checkpoint(str(model), models_dir=home / "models", hub_cache=home / "hub", revision=revision)


# ---- what is read


def test_a_folder_is_read(tmp_path: Path) -> None:
    found = find(write(tmp_path / "my model"), tmp_path)
    assert found.problem == ""
    assert found.exists
    assert not found.is_repository
    assert found.architectures == ("StepAudio2ForCausalLM",)
    assert found.weights_bytes == 1000
    assert found.has_remote_code
    assert found.mount_source == found.path == tmp_path / "my model"


def test_r1_takes_256_kib_of_kv_cache_a_token(tmp_path: Path) -> None:
    shape = find(write(tmp_path / "r1"), tmp_path).text
    assert shape is not None
    assert shape.kv_bytes_per_token == 262144
    assert shape.max_positions == 65536


def test_the_minis_kv_cache_is_56_kib_a_token(tmp_path: Path) -> None:
    mini = {"hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4}
    shape = find(write(tmp_path / "mini", config={"text_config": mini}), tmp_path).text
    assert shape is not None
    assert shape.kv_bytes_per_token == 56 * 1024


def test_a_text_model_has_its_shape_at_the_top(tmp_path: Path) -> None:
    shape = find(write(tmp_path / "text", config=R1_CONFIG["text_config"]), tmp_path).text
    assert shape is not None
    assert shape.layers == 64


@pytest.mark.parametrize(
    "files",
    [
        {"added_tokens": {"<|EOT|>": 7, "<|im_end|>": 5, "<think>": 9}},
        {"tokenizer_config": {"added_tokens_decoder": {"7": {"content": "<|EOT|>"}, "5": {"content": "<|im_end|>"}}}},
        {"tokenizer": {"added_tokens": [{"id": 5, "content": "<|im_end|>"}, {"id": 7, "content": "<|EOT|>"}]}},
    ],
    ids=["added_tokens.json", "tokenizer_config.json", "tokenizer.json"],
)
def test_the_ids_that_end_an_answer_are_the_tokenizers_own(files: dict[str, Any], tmp_path: Path) -> None:
    assert find(write(tmp_path / "r1", **files), tmp_path).stop_ids == (("<|im_end|>", 5), ("<|EOT|>", 7))


def test_of_a_large_tokenizer_only_the_head_is_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "r1")
    head = '{"version": "1.0", "added_tokens": [{"id": 151665, "content": "<|EOT|>"}], "model": {"vocab": {'
    (folder / "tokenizer.json").write_text(head + '"a": 1, ' * 700_000 + '"b": 2}}}', "utf-8")  # 5 MB
    assert find(folder, tmp_path).stop_ids == (("<|EOT|>", 151665),)


@pytest.mark.parametrize(
    "files",
    [
        {"added_tokens": ["<|EOT|>"]},
        {"added_tokens": {"<|EOT|>": "seven"}},
        {"tokenizer_config": {"added_tokens_decoder": ["<|EOT|>"]}},
        {"tokenizer_config": {"added_tokens_decoder": {"x": {"content": "<|EOT|>"}, "7": "<|EOT|>"}}},
        {"tokenizer": {"added_tokens": [{"id": 7}]}},
        {"tokenizer": {"added_tokens": 7}},
    ],
)
def test_a_tokenizer_of_another_make_names_no_ids(files: dict[str, Any], tmp_path: Path) -> None:
    assert find(write(tmp_path / "r1", **files), tmp_path).stop_ids == ()


# ---- where it is looked for


def test_a_repository_is_found_in_the_models_folder_by_its_whole_name_or_its_last_part(tmp_path: Path) -> None:
    short = write(tmp_path / "models" / "R1")
    assert find("Org/R1", tmp_path).path == short
    whole = write(tmp_path / "models" / "Org" / "R1")
    assert find("Org/R1", tmp_path).path == whole
    assert find("Org/R1", tmp_path).is_repository


def snapshot(home: Path, commit: str, ref: str = "main") -> Path:
    """A repository in the Hub's cache: its snapshots are links to blobs beside them."""
    repository = home / "hub" / "models--Org--R1"
    folder = write(repository / "snapshots" / commit)
    (repository / "blobs").mkdir(exist_ok=True)
    weights = folder / "model-00001-of-00002.safetensors"
    blob = weights.rename(repository / "blobs" / f"of-{commit}")
    weights.symlink_to(Path("../../blobs") / blob.name)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / ref).write_text(commit)
    return folder


def test_of_the_hubs_cache_the_whole_repository_is_mounted(tmp_path: Path) -> None:
    folder = snapshot(tmp_path, "abc")
    found = find("Org/R1", tmp_path)
    assert found.path == folder
    assert found.mount_source == tmp_path / "hub" / "models--Org--R1"
    assert found.inside == "snapshots/abc"
    assert found.weights_bytes == 1000


def test_a_path_into_the_hubs_cache_mounts_the_whole_repository_too(tmp_path: Path) -> None:
    folder = snapshot(tmp_path, "abc")
    (tmp_path / "r1").symlink_to(folder)
    for path in (folder, tmp_path / "r1"):
        found = find(path, tmp_path)
        assert (found.path, found.is_repository) == (path, False)
        assert found.mount_source == tmp_path / "hub" / "models--Org--R1"
        assert found.inside == "snapshots/abc"


def test_a_revision_is_a_branch_or_a_commit(tmp_path: Path) -> None:
    snapshot(tmp_path, "abc")
    snapshot(tmp_path, "def", ref="v2")
    assert find("Org/R1", tmp_path).inside == "snapshots/abc"
    assert find("Org/R1", tmp_path, revision="v2").inside == "snapshots/def"
    assert find("Org/R1", tmp_path, revision="def").inside == "snapshots/def"
    assert not find("Org/R1", tmp_path, revision="v3").exists


def test_a_repository_that_is_nowhere_is_not_on_this_disk(tmp_path: Path) -> None:
    found = find("Org/R1", tmp_path)
    assert not found.exists
    assert found.is_repository
    assert found.path == tmp_path / "models" / "R1"


def test_a_folder_here_wins_over_a_repository_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "models" / "R1")
    here = write(tmp_path / "here" / "Org" / "R1")
    monkeypatch.chdir(tmp_path / "here")
    assert find("Org/R1", tmp_path).path == here
    assert not find("./Org/R1", tmp_path).is_repository


# ---- what is wrong with it


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "cannot be read"), ("[]", "not a JSON object"), ("\udcff", "cannot be read"), ("[" * 200_000, "deeply")],
    ids=["half", "no object", "no text", "a well without ground"],
)
def test_a_broken_config_is_told(content: str, said: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "r1")
    (folder / "config.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert said in find(folder, tmp_path).problem


@pytest.mark.parametrize(
    "text", [None, [], "x", {"num_hidden_layers": "many"}, {**R1_CONFIG["text_config"], "num_attention_heads": 0}]
)
def test_a_config_without_a_shape_leaves_the_memory_unknown(text: object, tmp_path: Path) -> None:
    found = find(write(tmp_path / "r1", config={"text_config": text}), tmp_path)
    assert found.text is None
    assert found.problem == ""


def test_a_folder_without_config_or_weights_is_told(tmp_path: Path) -> None:
    folder = write(tmp_path / "r1")
    (folder / "config.json").unlink()
    assert find(folder, tmp_path).problem == "has no config.json"
    write(folder)
    for shard in folder.glob("*.safetensors"):
        shard.unlink()
    assert find(folder, tmp_path).problem == "has no weights (*.safetensors)"


def test_a_shard_whose_blob_is_gone_is_told(tmp_path: Path) -> None:
    folder = snapshot(tmp_path, "abc")
    (tmp_path / "hub/models--Org--R1/blobs/of-abc").unlink()
    assert find(folder, tmp_path).problem == "has no model-00001-of-00002.safetensors: a link to nothing"


def test_a_file_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert find(tmp_path / "file", tmp_path).problem == "is a file, not a folder"


@pytest.mark.parametrize("model", ["/no/such/folder", "~nobody-of-that-name/r1", "n" * 300, "./" + "n" * 300, "a/b/c"])
def test_a_path_to_nothing_does_not_exist(model: str, tmp_path: Path) -> None:
    found = find(model, tmp_path)
    assert not found.exists
    assert found.problem.startswith("does not exist")
