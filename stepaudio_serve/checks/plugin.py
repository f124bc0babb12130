"""The Step-Audio plugin against the vLLM that it is put into, as far as the image's name tells which that is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..finding import Finding
from ..plan.plugin import brings_plugin, supported_versions
from ..plan.versions import older
from ..settings.engine_images import engine_image
from ..vllm_plugin import release

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..facts.gather import Facts
    from ..plan.plan import Plan
    from ..settings.options import Settings

GROUP = "image"
_STOCK = re.compile(r"(?:[^/]+/)*vllm/vllm-openai(?:[:@].*)?$")
_VERSION = re.compile(r"vllm/vllm-openai:v?(?P<version>\d+(?:\.\d+)+)[^/]*$")


def check_plugin(settings: Settings, facts: Facts, plan: Plan, *, loaded: bool | None = None) -> Iterator[Finding]:
    """What is brought along, or that a stock vLLM is meant and gets none.

    `loaded`: what the log of the running deployment says of it; None where none runs, or its log does not tell.
    """
    if not brings_plugin(settings):
        yield from _stock_without(settings, facts, plan)
        return
    version = version_of(plan.image) if plan.runtime == "docker" else ""
    if version and not release.is_supported(version):
        yield Finding(
            "plugin",
            GROUP,
            "blocker",
            release.refusal(version),
            "it uses what vLLM calls its inside, which changes from release to release",
            f"--image {engine_image('upstream').image}",
        )
    else:
        yield _brought(plan, version)
    yield from _running(plan, loaded)


def version_of(reference: str) -> str:
    """The release that a reference to vLLM's own image names; empty where it names none, or another image."""
    found = _VERSION.search(reference)
    return found["version"] if found else ""


def _brought(plan: Plan, version: str) -> Finding:
    place = "mounted read-only" if plan.runtime == "docker" else "on the engine's module path"
    what = f"the Step-Audio plugin {release.PLUGIN_VERSION} is {place}; it supports {supported_versions()}"
    if version:
        return Finding("plugin", GROUP, "ok", what)
    where = f"in {plan.image}" if plan.runtime == "docker" else "on this machine"
    return Finding("plugin", GROUP, "note", what, f"which vLLM is {where} shows at the start: others are refused")


def _running(plan: Plan, loaded: bool | None) -> Iterator[Finding]:
    if loaded:
        yield Finding("plugin-loaded", GROUP, "ok", f"the running `{plan.name}` has loaded it")
    elif loaded is False:
        yield Finding(
            "plugin-loaded",
            GROUP,
            "warning",
            f"the running `{plan.name}` says nothing of the plugin in its log",
            f"it was left out by VLLM_PLUGINS, or that vLLM knows {release.ARCHITECTURE} by itself",
            f"stepaudio-serve logs {plan.name} | grep -i plugin",
        )


def _stock_without(settings: Settings, facts: Facts, plan: Plan) -> Iterator[Finding]:
    """vLLM's own image with the flags of the frozen one, and a checkpoint that it does not know."""
    architectures = facts.checkpoint.architectures
    if settings.engine != "vllm" or not _STOCK.match(plan.image) or release.ARCHITECTURE not in architectures:
        return
    version = version_of(plan.image)
    newer = not version or older(release.SUPPORTED[1], _minor(version))
    usable = not version or release.is_supported(version)
    yield Finding(
        "plugin-missing",
        GROUP,
        "warning" if newer else "blocker",
        f"{plan.image} does not know {release.ARCHITECTURE}",
        "vLLM's own image needs our plugin for it, which comes with --engine-image upstream"
        + ("; whether this one knows the model by itself is not known here" if newer else ""),
        "--engine-image upstream" + ("" if usable else f" --image {engine_image('upstream').image}"),
    )


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
