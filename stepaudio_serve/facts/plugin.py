"""The Step-Audio plugin as it is put into the engine: a package, and the metadata by which vLLM finds it."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

METADATA = """\
Metadata-Version: 2.1
Name: stepaudio-vllm
Version: {version}
"""
ENTRY_POINTS = """\
[vllm.general_plugins]
{name} = {package}:register
"""


def plugin_sources() -> Mapping[str, str]:
    """Its files by their path below a folder that is on the engine's PYTHONPATH.

    Python finds installed distributions by the `.dist-info` folders on that path, and vLLM its plugins by their entry
    points; so nothing is installed.
    """
    from ..vllm_plugin import release
    from .sources import sources

    package = release.PACKAGE
    metadata = f"{package}-{release.PLUGIN_VERSION}.dist-info"
    return {
        **dict(sources(files("stepaudio_serve").joinpath("vllm_plugin"), package)),
        f"{metadata}/METADATA": METADATA.format(version=release.PLUGIN_VERSION),
        f"{metadata}/entry_points.txt": ENTRY_POINTS.format(name=release.ENTRY_POINT_NAME, package=package),
    }
