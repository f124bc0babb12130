"""A real part that is missing skips its tests, fails them where it is required, and is named at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
NEEDS_DOCKER = """
import pytest

@pytest.mark.docker
def test_by_mark(): pass

def test_by_fixture(docker_engine): pass

def test_of_nothing_real(): pass
"""


def run_without_docker(folder: Path, *arguments: str, **environment: str) -> str:
    (folder / "test_sample.py").write_text(NEEDS_DOCKER)
    pytest_run = [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*pytest_run, "-c", TESTS.parent / "pyproject.toml", *arguments, folder / "test_sample.py"],
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith(("STEPAUDIO_", "PYTEST_"))},
            "PYTHONPATH": str(TESTS),
            "DOCKER_HOST": f"unix://{folder}/no.sock",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_a_missing_part_skips_its_tests_and_is_named(tmp_path: Path) -> None:
    output = run_without_docker(tmp_path)
    assert "1 passed, 2 skipped" in output
    assert "docker       did not run: no Docker Engine answers" in output


def test_a_missing_part_fails_its_tests_where_it_is_required(tmp_path: Path) -> None:
    output = run_without_docker(tmp_path, STEPAUDIO_REQUIRE="docker,vllm")
    assert "1 passed, 2 errors" in output
    assert "docker is required here: no Docker Engine answers" in output


def test_a_part_that_needs_docker_requires_docker_too(tmp_path: Path) -> None:
    assert "1 passed, 2 errors" in run_without_docker(tmp_path, STEPAUDIO_REQUIRE="vllm")


def test_a_fixture_brings_its_mark(tmp_path: Path) -> None:
    assert "1 passed, 2 deselected" in run_without_docker(tmp_path, "-m", "not docker")


def test_parts_are_named_when_workers_ran_the_tests(tmp_path: Path) -> None:
    assert "docker       did not run" in run_without_docker(tmp_path, "-n", "1")
