"""Known engine images, as data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class EngineImage:
    """An image, the platforms it exists for and the model architectures it serves.

    `newest_capability` is the newest compute capability it is known to serve, empty where that is not known; it has
    no kernels for those that it `lacks`, and no fp8 KV cache on those in `no_fp8_kv_cache`.
    """

    name: str
    image: str
    platforms: tuple[str, ...]
    architectures: tuple[str, ...]
    entrypoint: tuple[str, ...]
    newest_capability: str = ""
    lacks: tuple[str, ...] = ()
    no_fp8_kv_cache: tuple[str, ...] = ()


@cache
def engine_image(name: str) -> EngineImage:
    """The image known under a name: `stepfun`, `upstream` or `rehearsal`."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (files(__package__) / "engine_images.yaml").read_text("utf-8")
    data = yaml.load(text, Loader=loader)[name]  # noqa: S506 - both are safe loaders
    return EngineImage(
        name=name,
        image=data["image"],
        platforms=tuple(data["platforms"]),
        architectures=tuple(data["architectures"]),
        entrypoint=tuple(data["entrypoint"]),
        newest_capability=data.get("newest_capability", ""),
        lacks=tuple(data.get("lacks", ())),
        no_fp8_kv_cache=tuple(data.get("no_fp8_kv_cache", ())),
    )
