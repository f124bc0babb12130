"""Where `tests/testbed` puts its parts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "testbed"
VLLM_IMAGE = "stepaudio-testbed/vllm-cpu:0.32.0"
PYTHON_IMAGE = "stepaudio-testbed/python:3.11"
REHEARSAL_IMAGE = "stepaudio-serve/rehearsal:0.1.0"


def root() -> Path:
    """The test bed's folder, as `tests/testbed/env.sh` chooses it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("STEPAUDIO_TESTBED") or cache / "stepaudio-testbed")


def run_script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPTS / name, *arguments],
        env={**os.environ, "STEPAUDIO_TESTBED": str(root())},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
