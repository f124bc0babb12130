"""Known engine images, as data."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .options import Settings

IMAGES = ("stepfun", "upstream")
"""The values of the setting `engine_image`."""


@dataclass(frozen=True, slots=True)
class EngineImage:
    """An image, what it can serve, and which flags its generation of vLLM takes; `engine_images.yaml` has the sources.

    `newest_capability` is the newest compute capability it is known to serve, empty where that is not known; it has
    no kernels for those that it `lacks`, and no fp8 KV cache on those in `no_fp8_kv_cache`. `reported` and `seen` are
    runs on real GPUs, by others and by us.
    """

    name: str
    image: str
    platforms: tuple[str, ...]
    architectures: tuple[str, ...]
    entrypoint: tuple[str, ...]
    vllm: str = ""
    serves_others: bool = False
    plugin: bool = False
    checkpoint_code: bool = False
    drains: bool = False
    newest_capability: str = ""
    lacks: tuple[str, ...] = ()
    no_fp8_kv_cache: tuple[str, ...] = ()
    unknown_fp8_kv_cache: tuple[str, ...] = ()
    reported: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()


@cache
def engine_image(name: str) -> EngineImage:
    """The image known under a name: `stepfun`, `upstream` or `rehearsal`."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (files(__package__) / "engine_images.yaml").read_text("utf-8")
    data = yaml.load(text, Loader=loader)[name]  # noqa: S506 - both are safe loaders
    known = {field.name for field in fields(EngineImage)}
    if unknown := sorted(data.keys() - known):
        raise ValueError(f"{name}: unknown keys {', '.join(unknown)}")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    return EngineImage(name=name, **values)


def chosen_image(settings: Settings) -> EngineImage:
    """What is known of the image, and of the generation of vLLM, that these settings mean.

    An exact reference (setting `image`) stands in for the image only: platforms and kernels are then not known.
    """
    return engine_image(settings.engine_image if settings.engine == "vllm" else "rehearsal")


def trusts_code(settings: Settings) -> bool:
    """Whether the engine may run the code files of the checkpoint's folder; `auto` is what the image needs."""
    if settings.trust_remote_code == "auto":
        return chosen_image(settings).checkpoint_code
    return settings.trust_remote_code != "off"
