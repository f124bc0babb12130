"""What is published of well-known repositories (`published.yaml`)."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from .checkpoint import AudioShape, Checkpoint, Quantization, TextShape, Weights

if TYPE_CHECKING:
    from collections.abc import Mapping


def as_published(absent: Checkpoint) -> Checkpoint:
    """A repository that is not on this disk, with its published shape and sizes where it is a well-known one."""
    known = published().get(absent.requested)
    if known is None:
        return absent
    words = known.get("quantization", {})
    return replace(
        absent,
        architectures=(known["architecture"],),
        text=TextShape(**known["text"]),
        audio=AudioShape(**known["audio"]),
        quantization=Quantization(**{**words, "high_precision": tuple(words.get("high_precision", ()))}),
        weights=Weights(**known["weights"]) if "weights" in known else None,
        has_remote_code=True,
        published=True,
    )


@cache
def published() -> Mapping[str, Mapping[str, Any]]:
    """The figures by repository."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (files(__package__) / "published.yaml").read_text("utf-8")
    data: Mapping[str, Mapping[str, Any]] = yaml.load(text, Loader=loader)  # noqa: S506 - both are safe loaders
    return data
