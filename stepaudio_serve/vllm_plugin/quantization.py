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

    They are written for the checkpoint's names (`model.`, `lm_head`, `encoder.`, `adapter.`), and vLLM maps names only:
    `re:model\\.layers\\..*` would match nothing. What is not shaped as such settings are is left for vLLM to refuse.
    """
    if quantization.get("quant_method") != "compressed-tensors":
        return quantization
    named = dict(quantization)
    if "ignore" in named:
        named["ignore"] = _entries_as_here(named["ignore"])
    if isinstance(groups := named.get("config_groups"), dict):
        named["config_groups"] = {group: _scheme_as_here(scheme) for group, scheme in groups.items()}
    return named


def _scheme_as_here(scheme: Any) -> Any:
    if not isinstance(scheme, dict) or "targets" not in scheme:
        return scheme
    return {**scheme, "targets": _entries_as_here(scheme["targets"])}


def _entries_as_here(entries: Any) -> Any:
    return [_entry_as_here(entry) for entry in entries] if isinstance(entries, list) else entries


def _entry_as_here(entry: Any) -> Any:
    """vLLM compares from a name's beginning, so that a caret says nothing; behind a prefix it would never match."""
    if not isinstance(entry, str) or not entry.startswith("re:"):
        return entry
    pattern = _CARET.sub(lambda found: found[1] or "", entry.removeprefix("re:"))
    return f"re:{_LANGUAGE_MODEL}(?:{pattern})"
