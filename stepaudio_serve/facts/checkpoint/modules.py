"""What a tensor belongs to, by its name."""

from __future__ import annotations

_TEXT = {"layers", "embed_tokens", "norm", "language_model"}


def is_text(tensor: str) -> bool:
    """Whether it is the language model's: `model.layers...`, `lm_head`, or below `language_model`.

    The names are those of Step-Audio and Qwen2-Audio; any other is taken for a part beside the language model.
    """
    first, _, rest = tensor.partition(".")
    if first == "model":
        return rest.partition(".")[0] in _TEXT
    return first in {"lm_head", "language_model"}


def module_kind(tensor: str) -> str:
    """The kind of module: `self_attn`, `mlp`, `lm_head`, `embed_tokens`, `norms`, or the part beside the text model."""
    path = tensor.split(".")[:-1] or [tensor]
    if not is_text(tensor):
        return path[1] if path[0] == "model" and len(path) > 1 else path[0]
    if "norm" in path[-1]:
        return "norms"
    return next((name for name in ("self_attn", "mlp", "lm_head", "embed_tokens") if name in path), path[-1])
