"""Names of tensors: the checkpoint's to those of the model here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vllm.model_executor.models.utils import WeightsMapper

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import torch
    from torch import nn

PARTS = ("encoder.", "adapter.", "language_model.")
"""What the names of all tensors begin with once they are mapped."""

SHOWN = 5
"""Names in a message."""
_CACHE_SCALES = ".self_attn.attn."
"""Scales of a KV cache in 8 bits have defaults."""

MAPPER = WeightsMapper(
    orig_to_new_prefix={
        # a wrapper's own prefix, as tools that save a model anew may leave it
        "model.encoder.": "encoder.",
        "model.adapter.": "adapter.",
        "model.language_model.": "language_model.model.",
        "model.": "language_model.model.",
        "lm_head.": "language_model.lm_head.",
    }
)
"""The fork's names (`model.`, `lm_head.`, `encoder.`, `adapter.`). Those with one prefix more are taken too, except in
the regular expressions of a quantised checkpoint."""


def known(weights: Iterable[tuple[str, torch.Tensor]]) -> Iterator[tuple[str, torch.Tensor]]:
    """The same weights, read on as they are asked for.

    Raises:
        ValueError: a tensor belongs to no part of the model.
    """
    for name, tensor in weights:
        mapped = MAPPER.map_name(name)
        if mapped is not None and not mapped.startswith(PARTS):
            raise ValueError(
                f"the checkpoint's tensor {name!r} belongs to no part of a StepAudio2 model: names begin with "
                "model., lm_head., encoder. or adapter."
            )
        yield name, tensor


def wanted(model: nn.Module) -> set[str]:
    """The parameters that a checkpoint has to fill, by their names; vLLM may add others while it loads."""
    return {name for name, _ in model.named_parameters() if _CACHE_SCALES not in name}


def check_complete(names: set[str], loaded: set[str]) -> None:
    """Check that the checkpoint had something for every parameter; vLLM sees to that in models without quantisation.

    Raises:
        ValueError: some are as they were made, and the model would answer nonsense.
    """
    missing = sorted(names - loaded)
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise ValueError(f"the checkpoint has no tensors for {', '.join(missing[:SHOWN])}{more}")
