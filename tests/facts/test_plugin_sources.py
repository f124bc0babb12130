"""The plugin as files: a plain folder on PYTHONPATH in which Python finds a distribution with vLLM's entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stepaudio_serve.facts.gather import gather
from stepaudio_serve.facts.plugin import plugin_sources
from stepaudio_serve.settings.options import Settings
from stepaudio_serve.vllm_plugin import release

PACKAGE = Path(__file__).parents[2] / "stepaudio_serve" / "vllm_plugin"
FIND = """
import json
from importlib.metadata import entry_points, version
found = entry_points(group="vllm.general_plugins")
print(json.dumps([[point.name, point.value, point.load().__module__, version("stepaudio-vllm")] for point in found]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path, text in plugin_sources().items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return tmp_path


def test_every_module_is_there_and_nothing_else_of_the_package() -> None:
    modules = {f"stepaudio_vllm/{path.relative_to(PACKAGE)}" for path in PACKAGE.rglob("*.py")}
    metadata = {
        f"stepaudio_vllm-{release.PLUGIN_VERSION}.dist-info/{name}" for name in ("METADATA", "entry_points.txt")
    }
    assert modules | metadata == plugin_sources().keys()
    assert "stepaudio_vllm/release.py" in modules


def test_python_finds_and_loads_it_without_anything_installed(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-c", FIND],  # -S: no installed packages, this project's own entry point among them
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (point,) = json.loads(done.stdout)
    assert point == ["step_audio_2", "stepaudio_vllm:register", "stepaudio_vllm.register", release.PLUGIN_VERSION]


@pytest.mark.parametrize(("image", "brought"), [("upstream", True), ("stepfun", False)])
def test_it_is_gathered_where_it_is_needed(
    image: str, brought: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_PLUGINS", "mine")
    settings = Settings(model=str(tmp_path), gpus="none", engine_image=image)  # type: ignore[arg-type]
    facts = gather(settings)
    assert bool(facts.plugin_files) is brought
    assert facts.named_plugins == "mine"
