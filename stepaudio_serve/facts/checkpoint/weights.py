"""The size of the weights, whole and on each of several GPUs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .checkpoint import Weights
from .modules import is_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .safetensors import Tensor


def weigh(tensors: Iterable[Tensor]) -> Weights:
    """True bytes by dtype, and what tensor parallelism divides.

    Divided are the language model's matrices: linear layers with their packed values and scales, and by vocabulary
    the embeddings and lm_head. Every GPU holds its norms, biases and global scales, the audio encoder and the adaptor;
    that the last two are not divided is inferred from the engine's model code, not measured.
    """
    by_dtype: Counter[str] = Counter()
    split = 0
    for tensor in tensors:
        by_dtype[tensor.dtype] += tensor.size
        if len(tensor.shape) > 1 and is_text(tensor.name):
            split += tensor.size
    return Weights(split=split, whole=by_dtype.total() - split, by_dtype=dict(by_dtype))
