"""The wheel, installed into an empty environment below a path with a space, does the main job."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest
from support.cli import isolated_environment

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the working tree."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    built = subprocess.run([*pip, "--wheel-dir", folder, ROOT], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts' folder of an environment that has the wheel and what it asks for, and nothing else."""
    home = tmp_path_factory.mktemp("empty") / "a folder with a space"
    venv.create(home, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(home / "bin" / "python")]
    done = subprocess.run(
        [*pip, "install", "--quiet", "--no-compile", f"{wheel}[rehearsal]"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return home / "bin"


def test_templates_data_and_types_are_in_it(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for expected in (
        "py.typed",
        "templates/official.jinja",
        "templates/step-audio-r1.jinja",
        "settings/engine_images.yaml",
        "settings/profiles/model-card.yaml",
        "startup/phases.yaml",
        "startup/canary.wav",
        "diagnosis/catalogue.yaml",
        "rehearsal/failures.yaml",
        "guard/__init__.py",
        "vllm_plugin/__init__.py",
        "vllm_plugin/release.py",
    ):
        assert f"stepaudio_serve/{expected}" in names
    assert not any(name.startswith(("tests/", "templates/", "tools/")) for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_a_vllm_in_the_same_environment_finds_the_plugin(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (points,) = [name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt")]
        text = archive.read(points).decode()
    assert "[vllm.general_plugins]\nstep_audio_2 = stepaudio_serve.vllm_plugin:register" in text


def test_it_does_the_main_job(installed: Path, tmp_path: Path, free_port: int) -> None:
    homes = tmp_path / "homes"
    homes.mkdir()
    environment: Mapping[str, str] = {
        **{key: value for key, value in isolated_environment(homes).items() if key != "PYTHONPATH"},
        "DOCKER_HOST": "unix:///nonexistent",
        "STEPAUDIO_REHEARSAL_LOAD_SECONDS": "0.2",
        "STEPAUDIO_PORT": str(free_port),
    }
    here = tmp_path / "another folder"
    here.mkdir()
    clip = next((installed.parent / "lib").glob("python*/site-packages/stepaudio_serve/startup/canary.wav"))

    def run(*words: str | os.PathLike[str]) -> str:
        done = subprocess.run(
            [installed / "stepaudio-serve", *words],
            cwd=here,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    started = json.loads(run("up", "--engine", "rehearsal", "--runtime", "process", "--json"))
    try:
        assert started["health"] == "healthy"
        answer = json.loads(run("ask", clip, "What is this?", "--json"))
        assert "2.88 s" in answer["text"]
    finally:
        run("down")
