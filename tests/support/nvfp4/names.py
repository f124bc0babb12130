"""Which layers of a checkpoint an ignore list means, as compressed-tensors reads it when it packs one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

REGEX = "re:"
LOOKED_UP = ("embed_tokens", "positional_embedding")
"""Tables: their weights have two dimensions as well, but they are no linear layers."""
FUSED = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Layers that an engine computes as one, so that they share their global scales."""


def linear_layers(dimensions: dict[str, int]) -> list[str]:
    """The linear layers among tensors, given how many dimensions each has."""
    weights = (name.removesuffix(".weight") for name, many in dimensions.items() if many == 2)
    return sorted(name for name in weights if not name.endswith(LOOKED_UP))


def is_ignored(layer: str, ignore: Iterable[str]) -> bool:
    """Whether an entry is the layer's name, or a regular expression that matches it from its beginning."""
    return any(
        re.match(entry.removeprefix(REGEX), layer) if entry.startswith(REGEX) else entry == layer for entry in ignore
    )


def together(layer: str) -> list[str]:
    """The layer and those that are computed with it."""
    parent, _, own = layer.rpartition(".")
    fused = next((names for names in FUSED if own in names), (own,))
    return [f"{parent}.{name}" for name in fused]
