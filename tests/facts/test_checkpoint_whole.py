"""What is known of a whole checkpoint, from its small files and the headers of its shards."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from support import testbed
from support.checkpoints import CODE, KINDS, change_json, fabricate, write_json, write_shard, write_tokenizer

from stepaudio_serve.facts.checkpoint import AudioShape, Checkpoint, CodeFile, find_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

GB, GIB = 10**9, 2**30


def look(folder: Path) -> Checkpoint:
    return find_checkpoint(str(folder), models_dir=folder / "none", hub_cache=folder / "none")


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_checkpoint_has_no_fault(kind: str, tmp_path: Path) -> None:
    found = look(fabricate(tmp_path / "r1", kind))
    assert (found.problem, found.faults) == ("", ())
    assert found.architectures == ("StepAudio2ForCausalLM",)
    assert not found.published


@pytest.mark.parametrize("shape", [{"shards": 1}, {"shards": 5, "index": False}], ids=["one file", "no index"])
def test_an_index_is_not_needed(shape: dict[str, Any], tmp_path: Path) -> None:
    found = look(fabricate(tmp_path / "tiny", "tiny", **shape))
    assert found.faults == ()
    assert found.weights == look(fabricate(tmp_path / "indexed", "tiny")).weights


@pytest.mark.parametrize("name", ["tiny-audio", "tiny-listener"])
def test_a_checkpoint_that_vllm_serves_has_no_fault(name: str) -> None:
    folder = testbed.root() / "ckpt" / name
    if not folder.exists():
        pytest.skip("no such checkpoint here: make testbed")
    found = look(folder)
    assert found.faults == ()
    assert found.audio == AudioShape(128, 1500, state=64, heads=2, layers=2, adaptor_kernel=3, adaptor_stride=2)
    assert found.weights is not None
    assert found.weights.by_dtype == {"BF16": found.weights_bytes}


# ---- sizes


def test_r1_in_nvfp4_is_22_gb_of_which_the_audio_part_is_on_every_gpu(tmp_path: Path) -> None:
    weights = look(fabricate(tmp_path / "r1")).weights
    assert weights is not None
    assert weights.total / GB == pytest.approx(22.12, abs=0.005)
    assert weights.total / GIB == pytest.approx(20.60, abs=0.005)
    assert weights.whole / GB == pytest.approx(1.31, abs=0.01)
    assert weights.on_each(2) == weights.split / 2 + weights.whole


def test_r1_in_bf16_is_67_gb(tmp_path: Path) -> None:
    weights = look(fabricate(tmp_path / "r1", "r1.1-bf16")).weights
    assert weights is not None
    assert weights.total / GB == pytest.approx(67, abs=0.1)
    assert weights.total / GIB == pytest.approx(62.4, abs=0.05)


def test_packed_values_and_their_scales_count_by_their_true_bytes(tmp_path: Path) -> None:
    weights = look(fabricate(tmp_path / "r1")).weights
    assert weights is not None
    linear = 31_205_621_760
    assert weights.by_dtype["U8"] == linear / 2
    assert weights.by_dtype["F8_E4M3"] == linear / 16
    assert sum(weights.by_dtype.values()) == weights.total


@pytest.mark.parametrize(
    ("name", "shape", "divided"),
    [
        ("model.layers.0.mlp.up_proj.weight_packed", (8, 8), True),
        ("model.layers.0.mlp.up_proj.weight_scale", (8, 8), True),
        ("lm_head.weight", (8, 8), True),
        ("model.embed_tokens.weight", (8, 8), True),
        ("language_model.model.layers.0.self_attn.q_proj.weight", (8, 8), True),
        ("model.layers.0.input_layernorm.weight", (64,), False),
        ("model.layers.0.mlp.up_proj.weight_global_scale", (1,), False),
        ("encoder.blocks.0.attn.out.weight", (8, 8), False),
        ("adapter.linear1.weight", (8, 8), False),
        ("model.audio_tower.layers.0.fc1.weight", (8, 8), False),
        ("something.else.weight", (8, 8), False),
    ],
)
def test_tensor_parallelism_divides_the_text_models_matrices(
    name: str, shape: tuple[int, ...], divided: bool, tmp_path: Path
) -> None:
    folder = fabricate(tmp_path / "tiny", "tiny", shards=1)
    write_shard(folder / "model.safetensors", [(name, "U8", shape)])
    weights = look(folder).weights
    assert weights is not None
    assert (weights.split > 0) == divided
    assert (weights.whole > 0) == (not divided)


# ---- shapes


def test_the_audio_encoders_shape_is_read(tmp_path: Path) -> None:
    assert look(fabricate(tmp_path / "r1")).audio == AudioShape(
        mel_bins=128, positions=1500, state=1280, heads=20, layers=32, adaptor_kernel=3, adaptor_stride=2
    )


@pytest.mark.parametrize("audio", [None, {}, [], {"n_mels": "many"}, "x"])
def test_a_config_without_an_encoder_leaves_it_unknown(audio: object, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "tiny", "tiny")
    change_json(folder / "config.json", {"audio_encoder_config": audio})
    found = look(folder)
    assert found.audio is None
    assert found.problem == ""


# ---- quantisation


@pytest.mark.parametrize(("kind", "expected"), [("tiny-nvfp4", "nvfp4"), ("r1-nvfp4a16", "nvfp4a16"), ("tiny", "none")])
def test_quantisation_is_told_by_what_is_quantised(kind: str, expected: str, tmp_path: Path) -> None:
    assert look(fabricate(tmp_path / "r1", kind)).quantization.kind == expected


def test_what_is_left_in_high_precision_is_what_the_headers_show(tmp_path: Path) -> None:
    found = look(fabricate(tmp_path / "tiny", "tiny-nvfp4")).quantization
    assert found.high_precision == ("adapter", "embed_tokens", "encoder", "lm_head", "norms")
    assert found.ignored == ("lm_head", "re:encoder.*", "re:adapter.*")
    assert (found.method, found.format, found.group_size) == ("compressed-tensors", "nvfp4-pack-quantized", 16)
    assert look(fabricate(tmp_path / "plain", "tiny")).quantization.high_precision == ()


def group(bits: int = 4, activations: bool = True, **more: Any) -> dict[str, Any]:
    return {"weights": {"num_bits": bits}, "input_activations": {"num_bits": bits} if activations else None, **more}


PACKED = {"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"}


@pytest.mark.parametrize(
    ("section", "kind", "words"),
    [
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4", "NVFP4"),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, "other", "FP8"),
        ({"quant_method": "awq", "bits": 4}, "other", ""),
        ({**PACKED, "format": "float-quantized", "config_groups": {"a": group(8)}}, "other", "float-quantized"),
        ({**PACKED, "config_groups": {"a": group(), "b": group(8, format="float-quantized")}}, "other", None),
        ({**PACKED, "config_groups": {"a": group(), "b": group(activations=False)}}, "other", None),
        ({**PACKED, "config_groups": {"a": group(), "b": group()}}, "nvfp4", None),
        ({**PACKED, "format": "mixed", "config_groups": {"a": group(format=PACKED["format"])}}, "nvfp4", "mixed"),
        (PACKED, "other", None),
        ({}, "none", ""),
        ("fp8", "none", ""),
    ],
)
def test_any_other_quantisation_keeps_its_words(section: object, kind: str, words: str | None, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "tiny", "tiny")
    change_json(folder / "config.json", {"quantization_config": section})
    found = look(folder).quantization
    assert found.kind == kind
    assert words is None or found.format == words


def test_quantisation_may_stand_with_the_text_model_or_under_its_old_name(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "tiny", "tiny")
    section = {"quant_method": "modelopt", "quant_algo": "NVFP4"}
    change_json(folder / "config.json", {"text_config": {"quantization_config": section}})
    assert look(folder).quantization.kind == "nvfp4"
    change_json(folder / "config.json", {"text_config": {}, "compression_config": section})
    assert look(folder).quantization.kind == "nvfp4"


# ---- tokens


def test_the_ids_of_the_special_tokens_are_the_tokenizers_own(tmp_path: Path) -> None:
    found = look(fabricate(tmp_path / "r1", "tiny"))
    assert dict(found.special_ids) == {
        "<|BOT|>": 151666,
        "<|EOT|>": 151665,
        "<audio_patch>": 151690,
        "<audio_start>": 151688,
        "<audio_end>": 151689,
        "<think>": 151700,
        "</think>": 151701,
    }
    assert dict(found.stop_ids)["<|EOT|>"] == 151665


@pytest.mark.parametrize(
    ("single", "parser"),
    [(("<think>", "</think>"), "deepseek_r1"), (("</think>",), "step3"), (("<think>",), None), ((), None)],
)
def test_a_reasoning_parser_is_offered_where_its_marks_are_single_tokens(
    single: tuple[str, ...], parser: str | None, tmp_path: Path
) -> None:
    assert look(fabricate(tmp_path / "r1", "tiny", thinking=single)).reasoning_parser == parser


def test_marks_that_only_the_large_file_has_are_found_beside_small_ones(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "r1", "tiny")
    write_json(folder / "added_tokens.json", {"<|EOT|>": 7})
    found = look(folder)
    assert found.reasoning_parser == "deepseek_r1"


def test_a_long_list_of_added_tokens_is_read_to_its_end(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "r1", "tiny")
    added = [{"id": number, "content": f"<audio_{number}>", "special": True} for number in range(12_000)]
    added.append({"id": 99_999, "content": "</think>"})
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": added, "model": {}}, indent=2))
    assert (folder / "tokenizer.json").stat().st_size > 1_000_000
    assert dict(look(folder).special_ids) == {"</think>": 99_999}


@pytest.mark.parametrize("files", [["vocab.json", "merges.txt"], ["tokenizer.model"], ["tekken.json"], ["q.tiktoken"]])
def test_a_tokenizer_of_another_make_is_one_too(files: list[str], tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "r1", "tiny")
    (folder / "tokenizer.json").unlink()
    for name in files:
        (folder / name).write_text("{}")
    assert look(folder).problem == ""


def test_a_tokenizer_with_code_of_its_own_may_keep_its_vocabulary_anywhere(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "r1", "tiny")
    (folder / "tokenizer.json").unlink()
    write_json(folder / "tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["mine.Tokenizer", None]}})
    assert look(folder).problem == ""


# ---- code


def hashed(name: str, text: str) -> CodeFile:
    return CodeFile(name, hashlib.sha256(text.encode()).hexdigest())


def test_code_is_what_auto_map_names_with_its_hash(tmp_path: Path) -> None:
    found = look(fabricate(tmp_path / "r1", "tiny"))
    assert found.has_remote_code
    assert found.code == tuple(hashed(name, text) for name, text in sorted(CODE.items()))
    assert all(file.can_be_pinned for file in found.code)


def test_a_changed_byte_of_code_changes_its_hash(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "r1", "tiny")
    before = look(folder).code
    with (folder / "modeling_step_audio_2.py").open("a") as file:
        file.write("#")
    after = look(folder).code
    assert before[0] == after[0]
    assert before[1].sha256 != after[1].sha256


def test_a_checkpoint_without_auto_map_brings_no_code(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "r1", "tiny")
    change_json(folder / "config.json", {"auto_map": {}})
    found = look(folder)
    assert (found.has_remote_code, found.code) == (False, ())


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json"]
)
def test_every_config_may_name_code_alone_or_in_a_list(name: str, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "r1", "tiny")
    change_json(folder / "config.json", {"auto_map": {}})
    (folder / "mine.py").write_text("class Slow: ...\n")
    known = json.loads((folder / name).read_text()) if (folder / name).exists() else {}
    write_json(folder / name, {**known, "auto_map": {"AutoThing": ["mine.Slow", None]}})
    assert look(folder).code == (hashed("mine.py", "class Slow: ...\n"),)


@pytest.mark.parametrize(
    "statement",
    [
        "from .b import x",
        "from.b import x",
        "from . import b",
        "from . import (\n    other,\n    b as c,\n)",
        "if True:\n    import os; from .b import x",
        "from \\\n    .b import x",
        "try:\n    from .b import x\nexcept ImportError: pass",
        "from .middle import x",
        "from .package import x",
        "from .package.deep import x",
    ],
)
def test_relative_imports_are_followed(statement: str, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "r1", "tiny")
    change_json(folder / "config.json", {"auto_map": {"AutoConfig": "a.Config"}})
    (folder / "package").mkdir()
    (folder / "a.py").write_text(statement)
    (folder / "b.py").write_text("from .a import Config  # a circle\n")
    (folder / "middle.py").write_text("from .b import x\n")
    (folder / "package/__init__.py").write_text("from ..b import x\n")
    (folder / "package/deep.py").write_text("from .. import b\n")
    (folder / "unrelated.py").write_text("import b\nfrom b import x\n")
    names = {file.name for file in look(folder).code}
    assert {"a.py", "b.py"} <= names
    assert "unrelated.py" not in names


def test_imports_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "r1", "tiny")
    (tmp_path / "outside.py").write_text("")
    change_json(folder / "config.json", {"auto_map": {"AutoConfig": "a.Config"}})
    (folder / "a.py").write_text("from ..outside import x\nfrom .. import outside\n")
    assert [file.name for file in look(folder).code] == ["a.py"]


def test_code_of_another_repository_and_code_that_is_not_there_cannot_be_pinned(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "r1", "tiny")
    change_json(folder / "config.json", {"auto_map": {"A": "Org/Other--model.Model", "B": "gone.Config", "C": 7}})
    found = look(folder)
    assert set(found.code) == {CodeFile("model.py", "", "Org/Other"), CodeFile("gone.py", "")}
    assert not any(file.can_be_pinned for file in found.code)
    assert found.has_remote_code


def test_a_generation_config_is_kept_as_it_is(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "r1", "tiny")
    assert "eos_token_id" not in (look(folder).generation_config or {})
    change_json(folder / "generation_config.json", {"eos_token_id": [1, 2]})
    assert (look(folder).generation_config or {})["eos_token_id"] == [1, 2]


def test_the_vocabulary_is_not_read(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "r1", "tiny")
    write_tokenizer(folder, vocabulary=1000)
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(text.replace('"vocab": {', '"vocab": { this is no JSON '))
    assert look(folder).reasoning_parser == "deepseek_r1"
