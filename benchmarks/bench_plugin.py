"""The plugin for vLLM: its front end, its encoder, and what it adds to the start of vLLM's processes.

    benchmarks/bench_plugin.py [RUNS]

Runs in the test bed's vLLM, on one thread, by processor time: neighbours on the machine do not count. Each pair is
measured in turn, A B A B. Prints each median with its bound and their ratio: below 1 is within.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from support import testbed  # noqa: E402
from support.engines import plugin_package  # noqa: E402

from stepaudio_serve.vllm_plugin.release import PACKAGE  # noqa: E402

MEASURE = Path(__file__).parent / "plugin" / "measure.py"
FRONT_END_BOUND = 300
"""Times real time."""

IMPORT_BOUND = 0.3
"""Seconds that loading the plugin adds to a process of vLLM's."""

PROCESSES = {
    "API server": "vllm.entrypoints.cli.serve",
    "engine core": "vllm.v1.engine.core",
    "worker": "vllm.v1.worker.gpu_worker",
}
OUR_MODEL, LIKE_OURS = f"{PACKAGE}.model", "vllm.model_executor.models.qwen2_audio"


@dataclass(frozen=True, slots=True)
class Vllm:
    """The Python that has vLLM, and a folder that brings the plugin."""

    python: Path
    plugin: Path

    def measure(self, *arguments: str, plugin: bool = True) -> dict[str, Any]:
        done = self.run(str(self.python), str(MEASURE), *arguments, plugin=plugin)
        if done.returncode:
            sys.exit(f"measuring {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    def run(self, *command: str, plugin: bool) -> subprocess.CompletedProcess[str]:
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("VLLM_", "PYTHON"))}
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        environment = mine | threads | {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
        if plugin:
            environment["PYTHONPATH"] = str(self.plugin)
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    python = testbed.root() / "venv" / "bin" / "python"
    if not python.exists():
        print(f"not measured: there is no vLLM here (no {python}: make testbed)")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        vllm = Vllm(python, plugin_package(Path(folder)))
        front_end(vllm)
        loading(vllm, runs)
        encoder(vllm)
    return 0


def front_end(vllm: Vllm) -> None:
    told = vllm.measure("front-end")
    speed = told["clip"] / told["seconds"]
    print(
        f"log-mel of {told['clip']:.2f} s: {speed:.0f} x real time on one thread ({told['seconds'] * 1000:.1f} ms), "
        f"bound {FRONT_END_BOUND}, ratio {FRONT_END_BOUND / speed:.2f}"
    )


# ---- what a process starts with


def loading(vllm: Vllm, runs: int) -> None:
    """What vLLM's loading of plugins takes with ours and without, and whole processes."""
    vllm.measure("load", PROCESSES["API server"])
    for process, module in PROCESSES.items():
        show_added(f"loading, {process}", [in_process(vllm, module) for _ in range(runs)])
    show_added("looking at the class, beside Qwen2Audio", [inspected(vllm) for _ in range(runs)])
    show_added("whole process: vllm --version", [whole_process(vllm, number % 2 == 0) for number in range(runs)])


def in_process(vllm: Vllm, module: str) -> tuple[float, float]:
    with_plugin, without = (vllm.measure("load", module, plugin=plugin)["seconds"] for plugin in (True, False))
    return with_plugin, without


def inspected(vllm: Vllm) -> tuple[float, float]:
    """vLLM imports a model in a process of its own to learn what it can; one of its own is measured against ours."""
    ours = vllm.measure("inspect", OUR_MODEL)["seconds"]
    return ours, vllm.measure("inspect", LIKE_OURS, plugin=False)["seconds"]


def whole_process(vllm: Vllm, plugin_first: bool) -> tuple[float, float]:
    """The two, in turn of order: seconds of processor time vary by more than the plugin takes."""
    command = (str(vllm.python.with_name("vllm")), "--version")
    order = (True, False) if plugin_first else (False, True)
    taken = {plugin: processor_time(vllm, command, plugin=plugin) for plugin in order}
    return taken[True], taken[False]


def processor_time(vllm: Vllm, command: tuple[str, ...], *, plugin: bool) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    vllm.run(*command, plugin=plugin)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def show_added(what: str, pairs: list[tuple[float, float]]) -> None:
    ours, without = (statistics.median(column) for column in zip(*pairs, strict=True))
    differences = [with_plugin - alone for with_plugin, alone in pairs]
    added = statistics.median(differences)
    print(
        f"{what:40} with {ours:6.3f} s, without {without:6.3f} s, added {added:6.3f} s "
        f"({min(differences):.3f} to {max(differences):.3f}), bound {IMPORT_BOUND} s, ratio {added / IMPORT_BOUND:.2f}"
    )


# ---- encoder


def encoder(vllm: Vllm) -> None:
    """One clip at a time beside the fork's padded batch, through the same layers."""
    told = vllm.measure("encoder")
    print(
        f"32 clips, encoder of the real width with {told['layers']} of 32 layers, and adaptor, in bfloat16 "
        "on one thread of a CPU:"
    )
    kinds = {"equal": "all of 29.98 s", "mixed": "of 1 to 29.98 s, padded to the longest"}
    for kind, words in kinds.items():
        pairs = told[kind]["pairs"]
        alone, batch = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(one / together for one, together in pairs)
        print(f"    {words:40} one at a time {alone:5.1f} s, as a batch {batch:5.1f} s, bound 1.0, ratio {ratio:.2f}")


if __name__ == "__main__":
    sys.exit(main())
