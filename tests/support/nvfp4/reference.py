"""What a packed checkpoint answers, in plain PyTorch: the float model with its packed layers in place of its own."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file
from support.step_audio.model import LANGUAGE, StepAudio2, load
from torch import nn
from torch.nn import functional

from .numbers import codes, from_bytes, group_scales, values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AUDIO = ("encoder.", "adapter.")
PACKED = ".weight_packed"


class Fp4Linear(nn.Module):
    """A linear layer with packed weights; with an `input_global_scale` (W4A4) what it reads becomes FP4 as well."""

    def __init__(self, tensors: dict[str, torch.Tensor], bias: nn.Parameter | None) -> None:
        super().__init__()
        packed, scales = from_bytes(tensors["weight_packed"]), tensors["weight_scale"]
        self.weight = values(packed, scales, tensors["weight_global_scale"])
        self.bias = bias
        self.divisor = tensors.get("input_global_scale")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x if self.divisor is None else rounded(x, self.divisor), self.weight, self.bias)


def rounded(x: torch.Tensor, divisor: torch.Tensor) -> torch.Tensor:
    """Activations through FP4 and back, each group of 16 with a scale of its own."""
    scales = group_scales(x, divisor)
    return values(codes(x, scales, divisor), scales, divisor)


def load_packed(source: Path, packed: Path) -> StepAudio2:
    """The float model from `source`, with all layers that are packed in `packed` as packed there."""
    model, tensors = load(source), load_file(packed / "model.safetensors")
    for layer in [name.removesuffix(PACKED) for name in tensors if name.endswith(PACKED)]:
        prefix = f"{layer}."
        own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        path = path_of(layer)
        model.set_submodule(path, Fp4Linear(own, model.get_submodule(path).bias))
    return model


def path_of(layer: str) -> str:
    """Where the float model has a layer of the checkpoint."""
    return layer if layer.startswith(AUDIO) else LANGUAGE + layer


@contextmanager
def largest_inputs(model: StepAudio2) -> Iterator[dict[str, float]]:
    """Notes, by the checkpoint's names, the largest number that each linear layer reads in the meantime."""
    seen: dict[str, float] = {}

    def note(layer: str, x: torch.Tensor) -> None:
        seen[layer] = max(seen.get(layer, 0.0), float(x.abs().max()))

    with ExitStack() as stack:
        for path, module in model.named_modules():
            if isinstance(module, nn.Linear):
                layer = path.removeprefix(LANGUAGE)
                handle = module.register_forward_pre_hook(lambda _, read, layer=layer: note(layer, read[0]))
                stack.callback(handle.remove)
        yield seen
