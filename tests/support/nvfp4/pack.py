"""A float checkpoint packed as `nvfp4-pack-quantized`, with names and settings as llm-compressor writes them."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from .names import is_ignored, linear_layers, together
from .numbers import GROUP, SMALLEST_SCALE, codes, global_scale, group_scales, to_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WEIGHTS = "model.safetensors"


def pack_checkpoint(
    source: Path, target: Path, ignore: list[str], inputs: Mapping[str, float] | None, told: list[str] | None = None
) -> None:
    """Write `target`, with every linear layer of `source` packed that `ignore` leaves.

    Args:
        inputs: the largest number that each layer read while it was calibrated; without them activations stay as they
            are (A16).
        told: the ignore list that config.json tells, if another one.
    """
    shutil.copytree(source, target)
    tensors = load_file(source / WEIGHTS)
    layers = linear_layers({name: tensor.ndim for name, tensor in tensors.items()})
    chosen = [layer for layer in layers if not is_ignored(layer, ignore)]
    largest = {layer: float(tensors[f"{layer}.weight"].abs().max()) for layer in chosen}
    for layer in chosen:
        divisor = global_scale(_largest(layer, largest))
        packed = pack_weight(tensors.pop(f"{layer}.weight"), divisor)
        if inputs is not None:
            packed["input_global_scale"] = global_scale(_largest(layer, inputs))
        tensors |= {f"{layer}.{name}": tensor for name, tensor in packed.items()}
    save_file(tensors, target / WEIGHTS, metadata={"format": "pt"})
    settings = quantization_config(ignore if told is None else told, activations=inputs is not None)
    config = json.loads((source / "config.json").read_text("utf-8"))
    (target / "config.json").write_text(json.dumps({**config, "quantization_config": settings}, indent=1))


def pack_weight(weight: torch.Tensor, divisor: torch.Tensor) -> dict[str, torch.Tensor]:
    """The tensors that a layer has in place of its weight."""
    scales = group_scales(weight, divisor)
    scales = torch.where(scales.float() == 0, SMALLEST_SCALE, scales.float()).to(torch.float8_e4m3fn)
    return {
        "weight_packed": to_bytes(codes(weight, scales, divisor)),
        "weight_scale": scales,
        "weight_global_scale": divisor,
    }


def quantization_config(ignore: list[str], *, activations: bool) -> dict[str, Any]:
    """config.json's section."""
    numbers = {
        "actorder": None,
        "block_structure": None,
        "group_size": GROUP,
        "num_bits": 4,
        "observer_kwargs": {},
        "strategy": "tensor_group",
        "symmetric": True,
        "type": "float",
    }
    group = {
        "format": "nvfp4-pack-quantized",
        "input_activations": {**numbers, "dynamic": "local", "observer": "minmax"} if activations else None,
        "output_activations": None,
        "targets": ["Linear"],
        "weights": {**numbers, "dynamic": False, "observer": "minmax"},
    }
    return {
        "config_groups": {"group_0": group},
        "format": "nvfp4-pack-quantized",
        "global_compression_ratio": None,
        "ignore": ignore,
        "kv_cache_scheme": None,
        "quant_method": "compressed-tensors",
        "quantization_status": "compressed",
        "sparsity_config": {},
        "transform_config": {},
        "version": "0.12.3",
    }


def _largest(layer: str, known: Mapping[str, float]) -> torch.Tensor:
    return torch.tensor(max(known[name] for name in together(layer) if name in known))
