"""A config that says why the model is not served here."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig

from .release import MODEL_TYPE


def refused_config(words: str) -> type[PretrainedConfig]:
    """A config class that ends the start of a Step-Audio checkpoint with `words`."""

    class RefusedConfig(PretrainedConfig):
        model_type = MODEL_TYPE

        def __init__(self, **kwargs: Any) -> None:
            # transformers builds an empty one of every registered class, to compare with
            if kwargs:
                raise ValueError(words)
            super().__init__()

    return RefusedConfig
