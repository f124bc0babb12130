"""`doctor` and `plan` for vLLM as whole processes, with four GPUs that a stand-in for NVML shows, and with none.

    benchmarks/bench_doctor.py [RUNS]

With the container engine that is here, whatever it is. What they find does not matter, how long they look does.
Prints each median beside its bound. The stand-in needs a C compiler.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.cli import isolated_environment
from support.nvml import NvmlStandin, compile_standin

OURS = str(Path(sys.executable).with_name("stepaudio-serve"))
BOUNDS_MS = {"doctor": 1000, "plan": 300}


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        library, answers = folder / "library", folder / "answers"
        library.mkdir()
        answers.mkdir()
        if problem := compile_standin(library):
            print(f"the stand-in for NVML cannot be compiled: {problem}")
            return 1
        standin = NvmlStandin(library, answers)
        environment = isolated_environment(folder)
        for words, seen in (("four GPUs", standin("l40s-x4")), ("no GPU", standin.no_library())):
            for command, bound in BOUNDS_MS.items():
                milliseconds = median(command, {**environment, **seen}, folder, runs)
                ratio = milliseconds / bound
                print(f"{command:6} with {words:10} {milliseconds:5.0f} ms, bound {bound} ms, ratio {ratio:.2f}")
    return 0


def median(command: str, environment: dict[str, str], folder: Path, runs: int) -> float:
    """Milliseconds from start to exit, after one run that warms the disk's cache."""
    times = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        done = subprocess.run([OURS, command], capture_output=True, check=False, env=environment, cwd=folder)
        times.append(time.perf_counter() - began)
        if done.returncode not in {0, 3}:  # a blocker is an answer, anything else is a broken measurement
            sys.exit(f"{command} exited with {done.returncode}:\n{done.stderr.decode(errors='replace')}")
    return statistics.median(times[1:]) * 1000


if __name__ == "__main__":
    sys.exit(main())
