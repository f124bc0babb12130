"""A vLLM plugin for tests: NVFP4 layers on a CPU, with vLLM's own emulation.

vLLM has two kinds of kernels for them. Its emulation rounds activations as well (W4A4) and runs anywhere; it only has
to be registered for the CPU. For 16-bit activations (A16) vLLM insists on Marlin, which runs on GPUs; its place takes
a kernel that unpacks the weights with the emulation's own function.
"""

from __future__ import annotations

import torch
from vllm.model_executor.kernels import linear
from vllm.model_executor.layers.quantization.utils.nvfp4_emulation_utils import dequantize_to_dtype
from vllm.platforms import PlatformEnum


class UnpackingKernel(linear.EmulationNvFp4LinearKernel):
    """The emulation without rounding what a layer reads."""

    def apply_weights(self, layer: torch.nn.Module, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        weight = dequantize_to_dtype(
            layer.weight, layer.weight_scale, layer.weight_global_scale, x.dtype, swizzle=False
        )
        return torch.nn.functional.linear(x, weight, bias)


def register() -> None:
    linear.register_linear_kernel(linear.EmulationNvFp4LinearKernel, PlatformEnum.CPU, "nvfp4")
    linear.MarlinNvFp4LinearKernel = UnpackingKernel
