"""A checkpoint folder may come from anybody: whatever it holds, looking at it ends soon and reads nothing else."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from support.checkpoints import change_json, fabricate, write_header

from stepaudio_serve.facts.checkpoint import find_checkpoint
from stepaudio_serve.facts.checkpoint.safetensors import read_shard

if TYPE_CHECKING:
    from pathlib import Path

    from stepaudio_serve.facts.checkpoint import Checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fabricate(tmp_path / "r1", "tiny", shards=1)


def look(folder: Path) -> Checkpoint:
    return find_checkpoint(str(folder), models_dir=folder.parent, hub_cache=folder.parent)


@pytest.mark.timeout(20)
def test_a_shape_of_very_many_dimensions_is_not_multiplied_out(tmp_path: Path) -> None:
    tensor = {"dtype": "F32", "shape": [2**62] * 150_000, "data_offsets": [0, 4]}
    path = tmp_path / "model.safetensors"
    write_header(path, {"w": tensor}, 4)
    shard = read_shard(path)
    assert shard.fault is not None
    assert "150000 dimensions" in shard.fault.detail


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "name", ["config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json", "added_tokens.json"]
)
def test_a_pipe_in_a_files_place_is_not_waited_for(name: str, folder: Path) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    assert look(folder).exists


@pytest.mark.parametrize("value", [0, -1, 10**30, 10**400], ids=["none", "negative", "huge", "endless"])
@pytest.mark.parametrize("name", ["num_hidden_layers", "num_attention_heads", "hidden_size"])
def test_a_shape_that_no_model_has_is_not_known(name: str, value: int, folder: Path) -> None:
    text = json.loads((folder / "config.json").read_text())["text_config"]
    text.pop("head_dim", None)
    change_json(folder / "config.json", {"text_config": {**text, name: value}})
    assert look(folder).text is None


def test_a_format_that_is_no_word_is_some_other_quantisation(folder: Path) -> None:
    groups = {"group_0": {"format": ["nvfp4-pack-quantized"], "weights": {}}}
    section = {"quant_method": "compressed-tensors", "config_groups": groups}
    change_json(folder / "config.json", {"quantization_config": section})
    assert look(folder).quantization.kind == "other"


@pytest.mark.parametrize("name", ["\ud800", "x\x1b[2J\x07"])
def test_names_of_code_can_always_be_printed(name: str, folder: Path) -> None:
    change_json(folder / "config.json", {"auto_map": {"AutoModel": f"{name}.Class"}})
    assert all(file.name.isprintable() for file in look(folder).code)


def test_code_outside_the_folder_is_not_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("1")
    reference = f"{tmp_path}/secret.Class"
    change_json(folder / "config.json", {"auto_map": {"AutoModel": reference}})
    assert [file.sha256 for file in look(folder).code if "secret" in file.name] == [""]
