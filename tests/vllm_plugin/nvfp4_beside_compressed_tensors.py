"""Run by a Python that has compressed-tensors: whether NVFP4 as we pack and round it is what that library makes of it.

Prints JSON: how many numbers differ, for every tensor of every layer of the reference checkpoint and of a matrix with
groups of zeros and with ties, and for activations.
"""

from __future__ import annotations

import json

import torch
from compressed_tensors.compressors.nvfp4 import NVFP4PackedCompressor
from compressed_tensors.quantization import QuantizationConfig, QuantizationScheme
from compressed_tensors.quantization.lifecycle.forward import fake_quantize
from compressed_tensors.quantization.quant_scheme import NVFP4
from compressed_tensors.quantization.utils import compute_dynamic_scales_and_zp, generate_gparam
from safetensors.torch import load_file
from support.nvfp4.names import linear_layers
from support.nvfp4.numbers import BETWEEN, LARGEST, global_scale
from support.nvfp4.pack import pack_weight, quantization_config
from support.nvfp4.reference import rounded
from support.step_audio.recorded import CHECKPOINT

SCHEME = QuantizationScheme(targets=["Linear"], **NVFP4)


def matrices():
    tensors = load_file(CHECKPOINT / "model.safetensors")
    layers = linear_layers({name: tensor.ndim for name, tensor in tensors.items()})
    ties = torch.cat((BETWEEN, -BETWEEN, torch.tensor([LARGEST, -0.0])))
    edges = torch.stack((torch.cat((ties, torch.zeros(16))), torch.cat((1e-9 * ties, 3 * ties))))
    return {"ties and zeros": edges, **{layer: tensors[f"{layer}.weight"] for layer in layers}}


def packed_by_library(weight):
    divisor = generate_gparam(weight.min(), weight.max())
    scales, _ = compute_dynamic_scales_and_zp(weight, SCHEME.weights, torch.nn.Module(), divisor)
    state = {"weight": weight, "weight_scale": scales, "weight_global_scale": divisor}
    return NVFP4PackedCompressor.compress(state, SCHEME)


def rounded_by_library(x, divisor):
    arguments = SCHEME.input_activations
    scales, zeros = compute_dynamic_scales_and_zp(x, arguments, torch.nn.Module(), divisor)
    return fake_quantize(x, scales, zeros, arguments, global_scale=divisor)


def different(ours, theirs):
    assert ours.dtype == theirs.dtype, (ours.dtype, theirs.dtype)
    return int((ours.float() != theirs.float()).sum()) if ours.shape == theirs.shape else -1


def weights(weight):
    ours, theirs = pack_weight(weight, global_scale(weight.abs().max())), packed_by_library(weight)
    return {name: different(ours[name], theirs[name]) for name in theirs}


def activations():
    x = torch.randn(50, 128, generator=torch.Generator().manual_seed(0)) * torch.logspace(-3, 1, 50)[:, None]
    divisor = global_scale(x.abs().max() / 2)  # what is larger than in calibration is cut off
    return {
        "numbers": x.numel(),
        "different": int((~torch.isclose(rounded(x, divisor), rounded_by_library(x, divisor))).sum()),
    }


def settings():
    """What the library reads in our section of config.json."""
    read = {}
    for name, with_activations in (("W4A4", True), ("A16", False)):
        section = quantization_config(["lm_head"], activations=with_activations)
        group = QuantizationConfig.model_validate(section).config_groups["group_0"]
        read[name] = [kind for kind in ("weights", "input_activations") if _same_numbers(group, kind)]
    return read


def _same_numbers(group, kind):
    ours, theirs = getattr(group, kind), getattr(SCHEME, kind)
    fields = ("num_bits", "type", "strategy", "group_size", "symmetric", "dynamic")
    return ours is not None and all(getattr(ours, field) == getattr(theirs, field) for field in fields)


if __name__ == "__main__":
    tensors = {name: weights(weight) for name, weight in matrices().items()}
    print(json.dumps({"weights": tensors, "activations": activations(), "settings": settings()}))
