"""Facts of a machine as a JSON document: written by `doctor --save-facts`, read by `--facts`, held by profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .gather import Facts


def read_facts_file(path: Path) -> Mapping[str, Any]:
    """The document in a file, checked.

    Raises:
        SettingsError: it cannot be read, is not JSON, or holds something else than facts.
    """
    raise NotImplementedError


def on_another_machine(facts: Facts, recorded: Mapping[str, Any], *, named: str) -> Facts:
    """These facts with the machine's own (GPUs, driver, architecture, memory, engine) replaced by recorded ones.

    Raises:
        SettingsError: the document is malformed.
    """
    raise NotImplementedError


def to_document(facts: Facts) -> dict[str, Any]:
    """The machine's part of the facts, as `read_facts_file` reads it."""
    raise NotImplementedError
