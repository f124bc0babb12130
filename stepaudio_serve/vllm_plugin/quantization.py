"""Which layers a quantised checkpoint means: its regular expressions, written for its own names, in those used here."""

from __future__ import annotations

import re
from typing import Any

_LANGUAGE_MODEL = r"(?:language_model\.|(?!language_model\.))"
"""What the text part's names have before the checkpoint's here; nothing before all others."""
_CARET = re.compile(r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|\^")
"""A caret that anchors; escapes and sets of characters are taken whole, as the group."""


def named_as_here(quantization: dict[str, Any]) -> dict[str, Any]:
    """The settings of compressed-tensors with regular expressions that mean the same layers by their names here.

    They are written for the checkpoint's names, and vLLM maps names only: `re:model\\.layers\\..*` would match nothing.
    """
    named = dict(quantization)
    if "ignore" in named:
        named["ignore"] = [_entry_as_here(entry) for entry in named["ignore"] or ()]
    if "config_groups" in named:
        named["config_groups"] = {
            group: {**scheme, "targets": [_entry_as_here(entry) for entry in scheme["targets"]]}
            for group, scheme in named["config_groups"].items()
        }
    return named


def _entry_as_here(entry: str) -> str:
    """vLLM compares from a name's beginning, so that a caret says nothing; behind a prefix it would never match."""
    if not entry.startswith("re:"):
        return entry
    pattern = _CARET.sub(lambda found: found[1] or "", entry.removeprefix("re:"))
    return f"re:{_LANGUAGE_MODEL}(?:{pattern})"
