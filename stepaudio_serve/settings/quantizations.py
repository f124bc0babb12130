"""How the engine computes with a kind of weights, by compute capability, as data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Native:
    """Arithmetic of the GPU's own, from a compute capability on; CUDA and driver versions may be empty."""

    capability: str
    cuda: str = ""
    driver: str = ""


@dataclass(frozen=True, slots=True)
class Fallback:
    """What the engine does without it, from a compute capability on, and what that costs."""

    capability: str
    how: str
    cost: str


@dataclass(frozen=True, slots=True)
class Support:
    """What a kind of quantisation needs; without either the engine does not start."""

    name: str
    source: str
    native: Native | None = None
    fallback: Fallback | None = None

    @property
    def oldest_capability(self) -> str:
        """The compute capability below which nothing works."""
        return (self.fallback or self.native or Native("0.0")).capability


def support(kind: str) -> Support | None:
    """What is known of a kind of quantisation; None where nothing is."""
    return _known().get(kind)


def kinds() -> tuple[str, ...]:
    """The kinds of which something is known."""
    return tuple(_known())


@cache
def _known() -> dict[str, Support]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (files(__package__) / "quantizations.yaml").read_text("utf-8")
    data = yaml.load(text, Loader=loader)  # noqa: S506 - both are safe loaders
    return {kind: _support(entry) for kind, entry in data.items()}


def _support(entry: dict[str, Any]) -> Support:
    native, fallback = entry.get("native"), entry.get("fallback")
    return Support(
        name=entry["name"],
        source=entry["source"],
        native=Native(**native) if native else None,
        fallback=Fallback(**fallback) if fallback else None,
    )
