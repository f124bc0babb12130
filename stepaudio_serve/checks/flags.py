"""Flags of the engine's command line, read back."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def value_of(flag: str, words: Sequence[str]) -> str:
    """What follows a flag, in any spelling that the engine takes; the last one counts, empty where there is none."""
    found = ""
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        name, equals, value = word.partition("=")
        if name.replace("_", "-") == flag:
            found = value if equals else following
    return found
