"""Whether the model card's own command can hold what the settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..finding import Finding
from ..plan.model_card import unhonoured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..settings.options import Settings


def check_recipe(settings: Settings) -> Iterator[Finding]:
    """The card's command has no place for most settings."""
    names = unhonoured(settings) if settings.recipe == "model-card" else ()
    if names:
        yield Finding(
            "model-card",
            "engine",
            "blocker",
            f"the model card's command has no place for {', '.join(names)} as set",
            "it is taken word for word, as the baseline to compare with",
            "leave them as the profile model-card has them, or start without that profile",
        )
