"""Fabricated checkpoints: true names, shapes and sizes, no weights.

A shard is a true header followed by a hole (sparse), so that 22 GB cost a few kilobytes of disk.
`fabricate` makes a whole folder; `write_shard` one file; the rest breaks things.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Tensor = tuple[str, str, tuple[int, ...]]  # name, dtype, shape

Format = Literal["bf16", "nvfp4", "nvfp4a16"]
BYTES = {"BF16": 2, "F16": 2, "F32": 4, "U8": 1, "F8_E4M3": 1}
COMMIT = "0123456789abcdef0123456789abcdef01234567"
INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class Shape:
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    positions: int
    vocabulary: int = 158720
    state: int = 1280
    audio_heads: int = 20
    audio_layers: int = 32


R1 = Shape(hidden=5120, intermediate=27648, layers=64, heads=40, kv_heads=8, positions=65536)
MINI = Shape(hidden=3584, intermediate=18944, layers=28, heads=28, kv_heads=4, positions=16384)
TINY = Shape(64, 128, 2, 2, 1, 8192, vocabulary=2048, state=64, audio_heads=2, audio_layers=2)  # megabytes, sparse

KINDS: dict[str, tuple[Shape, Format]] = {
    "r1-nvfp4": (R1, "nvfp4"),
    "r1-nvfp4a16": (R1, "nvfp4a16"),
    "r1-bf16": (R1, "bf16"),
    "r1.1-bf16": (R1, "bf16"),
    "mini": (MINI, "bf16"),
    "tiny": (TINY, "bf16"),
    "tiny-nvfp4": (TINY, "nvfp4"),
}
# <|EOT|> and <audio_patch> are R1's, the end tokens Qwen2's; the others are made up, for they were never seen
TOKENS = {
    "<|endoftext|>": 151643,
    "<|im_end|>": 151645,
    "<|EOT|>": 151665,
    "<|BOT|>": 151666,
    "<audio_start>": 151688,
    "<audio_end>": 151689,
    "<audio_patch>": 151690,
}
THINKING = ("<think>", "</think>")
CODE = {
    "configuration_step_audio_2.py": "from transformers import PretrainedConfig\n\n\nclass StepAudio2Config: ...\n",
    "modeling_step_audio_2.py": "from .configuration_step_audio_2 import StepAudio2Config\n",
}


def fabricate(
    folder: Path, kind: str = "r1-nvfp4", *, shards: int = 5, thinking: tuple[str, ...] = THINKING, index: bool = True
) -> Path:
    """A whole checkpoint of one of `KINDS` in `folder`; `thinking` names the thinking marks that are single tokens.

    `shards=1` gives one `model.safetensors` and no index, `index=False` several shards without one.
    """
    shape, format_ = KINDS[kind]
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config(shape, format_))
    write_json(folder / "generation_config.json", {"_from_model_config": True, "transformers_version": "4.49.0"})
    write_tokenizer(folder, thinking)
    for name, source in CODE.items():
        (folder / name).write_text(source, "utf-8")
    write_weights(folder, [*tensors(shape, format_)], shards, index=index and shards > 1)
    return folder


def config(shape: Shape, format_: Format = "bf16") -> dict[str, Any]:
    """The model's config.json."""
    quantized = {} if format_ == "bf16" else {"quantization_config": quantization(format_)}
    return {
        "architectures": ["StepAudio2ForCausalLM"],
        "model_type": "step_audio_2",
        "auto_map": {
            "AutoConfig": "configuration_step_audio_2.StepAudio2Config",
            "AutoModelForCausalLM": "modeling_step_audio_2.StepAudio2ForCausalLM",
        },
        "dtype": "bfloat16",
        "text_config": {
            "model_type": "step_audio_2_text",
            "vocab_size": shape.vocabulary,
            "hidden_size": shape.hidden,
            "intermediate_size": shape.intermediate,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "num_attention_groups": shape.kv_heads,
            "num_key_value_heads": shape.kv_heads,
            "max_position_embeddings": shape.positions,
            "rope_theta": 1000000.0,
        },
        "audio_encoder_config": {
            "model_type": "step_audio_2_encoder",
            "n_mels": 128,
            "n_audio_ctx": 1500,
            "n_audio_state": shape.state,
            "n_audio_head": shape.audio_heads,
            "n_audio_layer": shape.audio_layers,
            "llm_dim": shape.hidden,
            "kernel_size": 3,
            "adapter_stride": 2,
        },
        **quantized,
    }


def quantization(format_: Format) -> dict[str, Any]:
    """config.json's quantization_config as compressed-tensors writes it."""
    four_bits = {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16, "symmetric": True}
    activations = {**four_bits, "dynamic": "local"} if format_ == "nvfp4" else None
    return {
        "quant_method": "compressed-tensors",
        "format": "nvfp4-pack-quantized",
        "config_groups": {
            "group_0": {
                "targets": ["Linear"],
                "weights": {**four_bits, "dynamic": False},
                "input_activations": activations,
            }
        },
        "ignore": ["lm_head", "re:encoder.*", "re:adapter.*"],
    }


# ---- tensors


def tensors(shape: Shape, format_: Format) -> Iterator[Tensor]:
    """Every tensor of such a model, in the order of its names in a published index."""
    yield from _adaptor(shape)
    yield from _encoder(shape)
    yield "lm_head.weight", "BF16", (shape.vocabulary, shape.hidden)
    yield "model.embed_tokens.weight", "BF16", (shape.vocabulary, shape.hidden)
    for layer in range(shape.layers):
        yield from _text_layer(f"model.layers.{layer}", shape, format_)
    yield "model.norm.weight", "BF16", (shape.hidden,)


def _text_layer(prefix: str, shape: Shape, format_: Format) -> Iterator[Tensor]:
    hidden, inner, kv = shape.hidden, shape.intermediate, shape.kv_heads * (shape.hidden // shape.heads)
    yield f"{prefix}.input_layernorm.weight", "BF16", (hidden,)
    yield f"{prefix}.post_attention_layernorm.weight", "BF16", (hidden,)
    for name, rows, columns in (
        ("mlp.down_proj", hidden, inner),
        ("mlp.gate_proj", inner, hidden),
        ("mlp.up_proj", inner, hidden),
        ("self_attn.q_proj", hidden, hidden),
        ("self_attn.k_proj", kv, hidden),
        ("self_attn.v_proj", kv, hidden),
        ("self_attn.o_proj", hidden, hidden),
    ):
        if name[-6:] in {"q_proj", "k_proj", "v_proj"}:
            yield f"{prefix}.{name}.bias", "BF16", (rows,)
        yield from _linear(f"{prefix}.{name}", rows, columns, format_)


def _linear(prefix: str, rows: int, columns: int, format_: Format) -> Iterator[Tensor]:
    if format_ == "bf16":
        yield f"{prefix}.weight", "BF16", (rows, columns)
        return
    yield f"{prefix}.weight_packed", "U8", (rows, columns // 2)
    yield f"{prefix}.weight_scale", "F8_E4M3", (rows, columns // 16)
    yield f"{prefix}.weight_global_scale", "F32", (1,)
    if format_ == "nvfp4":
        yield f"{prefix}.input_global_scale", "F32", (1,)


def _adaptor(shape: Shape) -> Iterator[Tensor]:
    yield from _both("adapter.conv", shape.state, shape.state, 3)
    yield from _both("adapter.linear1", 2048, shape.state)
    yield from _both("adapter.linear2", shape.hidden, 2048)


def _encoder(shape: Shape) -> Iterator[Tensor]:
    state = shape.state
    yield from _both("encoder.after_norm", state)
    for layer in range(shape.audio_layers):
        block = f"encoder.blocks.{layer}"
        yield f"{block}.attn.key.weight", "BF16", (state, state)
        for name in ("out", "query", "value"):
            yield from _both(f"{block}.attn.{name}", state, state)
        yield from _both(f"{block}.attn_ln", state)
        yield from _both(f"{block}.mlp.0", 4 * state, state)
        yield from _both(f"{block}.mlp.2", state, 4 * state)
        yield from _both(f"{block}.mlp_ln", state)
    yield from _both("encoder.conv1", state, 128, 3)
    yield from _both("encoder.conv2", state, state, 3)
    yield "encoder.positional_embedding.weight", "BF16", (1500, state)


def _both(prefix: str, rows: int, *more: int) -> Iterator[Tensor]:
    yield f"{prefix}.bias", "BF16", (rows,)
    yield f"{prefix}.weight", "BF16", (rows, *more)


# ---- files


def write_weights(folder: Path, everything: list[Tensor], shards: int, *, index: bool) -> None:
    """The tensors over so many shards of about the same size, with their index."""
    names = ["model.safetensors"] if shards == 1 else [shard_name(number, shards) for number in range(1, shards + 1)]
    total = sum(map(size, everything))
    portions: dict[str, list[Tensor]] = {name: [] for name in names}
    taken = 0
    for tensor in everything:
        portions[names[min(shards - 1, taken * shards // total)]].append(tensor)
        taken += size(tensor)
    for name, portion in portions.items():
        write_shard(folder / name, portion)
    if index:
        weight_map = {tensor[0]: name for name, portion in portions.items() for tensor in portion}
        write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})


def shard_name(number: int, of: int) -> str:
    return f"model-{number:05}-of-{of:05}.safetensors"


def size(tensor: Tensor) -> int:
    """Bytes of one tensor."""
    return math.prod(tensor[2]) * BYTES[tensor[1]]


def write_shard(path: Path, holds: Iterable[Tensor] = (("weight", "BF16", (2, 2)),)) -> Path:
    """A valid safetensors file: a true header, then a hole in place of the data."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, dtype, shape in holds:
        begin, end = end, end + size((name, dtype, shape))
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    return write_header(path, header, end)


def write_header(path: Path, header: object, data: int = 0) -> Path:
    """A file with this header, right or wrong, and so many bytes of data."""
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + data)
    return path


def write_tokenizer(folder: Path, thinking: tuple[str, ...] = THINKING, *, vocabulary: int = 0) -> None:
    """tokenizer.json with the special tokens before a vocabulary of so many words, as the library writes it."""
    ids = {**TOKENS, **{mark: 151700 + number for number, mark in enumerate(thinking)}}
    added = [{"id": number, "content": token, "special": token not in THINKING} for token, number in ids.items()]
    words = {f"Ġword{number:07}": number for number in range(vocabulary)}
    content = {"version": "1.0", "added_tokens": added, "model": {"type": "BPE", "vocab": words, "merges": []}}
    (folder / "tokenizer.json").write_text(json.dumps(content, ensure_ascii=False, indent=2), "utf-8")
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})


def write_json(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content), "utf-8")
    return path


def change_json(path: Path, changes: Mapping[str, Any]) -> None:
    """Set top-level keys of a JSON file."""
    write_json(path, {**json.loads(path.read_text("utf-8")), **changes})


# ---- in the Hub's cache, and what goes wrong


def as_snapshot(
    folder: Path, hub: Path, repository: str = "Org/R1", *, commit: str = COMMIT, ref: str = "main"
) -> Path:
    """Move a checkpoint folder into the Hub's cache `hub`, as links to blobs; gives the snapshot's folder."""
    home = hub / f"models--{repository.replace('/', '--')}"
    snapshot, blobs = home / "snapshots" / commit, home / "blobs"
    for place in (snapshot, blobs, home / "refs"):
        place.mkdir(parents=True, exist_ok=True)
    for file in sorted(folder.iterdir()):
        blob = blobs / f"{commit[:8]}-{file.name}"
        file.rename(blob)
        (snapshot / file.name).symlink_to(Path("../../blobs") / blob.name)
    (home / "refs" / ref).write_text(commit, "ascii")
    return snapshot


def truncate(path: Path, keep: int | None = None) -> Path:
    """Cut a file to its first `keep` bytes, or to half."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 if keep is None else keep)
    return path


def damage(path: Path) -> Path:
    """Overwrite a file's beginning with what no header begins with; its size stays."""
    with path.open("r+b") as file:
        file.write(b"\xff" * 64)
    return path


def lfs_pointer(path: Path, stands_for: int = 4_900_000_000) -> Path:
    """What a clone without Git LFS leaves in place of a large file."""
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize {stands_for}\n", "ascii")
    return path


def unfinished(path: Path, *, by: Literal["huggingface_hub", "aria2", "browser", "part"] = "huggingface_hub") -> Path:
    """Take a file away and leave what a broken-off download of it leaves; gives the leftover (aria2 keeps the file)."""
    if by == "aria2":
        leftover = path.with_name(path.name + ".aria2")
        leftover.write_bytes(b"\0\1")
        return leftover
    if by == "huggingface_hub":
        leftover = path.parent / ".cache/huggingface/download/kJ3vX0-hash-of-the-name=.0f0f0f.incomplete"
        leftover.parent.mkdir(parents=True, exist_ok=True)
    else:
        leftover = path.with_name(path.name + {"browser": ".crdownload", "part": ".part"}[by])
    path.rename(leftover)
    return truncate(leftover)
