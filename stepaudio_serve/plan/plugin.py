"""The Step-Audio plugin in a plan: whether it is brought along, and what the engine has to be told to load it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..settings.engine_images import chosen_image
from ..vllm_plugin import release

if TYPE_CHECKING:
    from ..facts.gather import Facts
    from ..settings.options import Settings

VARIABLE = "VLLM_PLUGINS"
"""Where it is set, vLLM loads only the plugins that it names, separated by commas; else all."""


def brings_plugin(settings: Settings) -> bool:
    """Whether the engine gets our plugin: it does not know the model by itself, and is not to be the card's."""
    return settings.recipe != "model-card" and chosen_image(settings).plugin


def plugin_environment(settings: Settings, facts: Facts, *, files: str) -> dict[str, str]:
    """The variables by which vLLM finds it in the folder `files`; nothing where it is not brought along."""
    if not brings_plugin(settings):
        return {}
    named = widened(settings, facts)
    return {"PYTHONPATH": files, **({VARIABLE: named} if named else {})}


def widened(settings: Settings, facts: Facts) -> str:
    """What VLLM_PLUGINS has to say where it is set already and leaves our plugin out; empty where it may stay."""
    in_image = facts.image.environment.get(VARIABLE) if facts.image is not None else None
    named = in_image if settings.runtime == "docker" else facts.named_plugins
    if not brings_plugin(settings) or named is None or release.ENTRY_POINT_NAME in named.split(","):
        return ""
    return ",".join(filter(None, (*named.split(","), release.ENTRY_POINT_NAME)))


def supported_versions() -> str:
    """The releases of vLLM that the plugin was made for, in words."""
    first, last = release.SUPPORTED
    return f"vLLM {first} to {last}"
