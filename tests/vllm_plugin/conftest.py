"""The plugin as the launcher puts it into an engine, for a vLLM on this machine."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.engines import plugin_package

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def plugin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that makes a vLLM know the model once it is on PYTHONPATH; nobody may write to it."""
    folder = tmp_path_factory.mktemp("plugin")
    plugin_package(folder)
    for place in (folder, *folder.rglob("*")):
        place.chmod(0o555 if place.is_dir() else 0o444)
    return folder


@pytest.fixture(scope="session")
def with_plugin(plugin_folder: Path) -> dict[str, str]:
    """The environment of a process that has the plugin, and no other of this machine's settings for vLLM."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("VLLM_", "PYTHON"))}
    offline = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    return mine | offline | {"PYTHONPATH": str(plugin_folder), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture(scope="session")
def intel_fft(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    """A library to preload: the Fourier transform of the machine that made the reference."""
    source = pytestconfig.rootpath / "tests" / "vllm_plugin" / "intel_fft.c"
    library = tmp_path_factory.mktemp("fft") / "intel_fft.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library
