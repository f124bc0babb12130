"""Facts of a fabricated 22 GB checkpoint (5 shards, tokenizer of 11 MB): wall time and resident growth.

    benchmarks/bench_facts.py [RUNS]

Each run is a fresh process, measured from before the import of the package's facts to the last fact.
Prints the median time and the largest growth, each beside its bound.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.checkpoints import fabricate, write_tokenizer

BOUND_MS, BOUND_MB = 150, 20
WORDS_OF_11_MB = 350_000
PROBE = """
import json, sys, time
from pathlib import Path
def peak():  # not ru_maxrss, which a process inherits from the one that started it
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1000
before, began = peak(), time.perf_counter()
from stepaudio_serve.facts.checkpoint import find_checkpoint
nowhere = Path("/nonexistent")
found = find_checkpoint(sys.argv[1], models_dir=nowhere, hub_cache=nowhere)
seconds = time.perf_counter() - began
print(json.dumps([seconds * 1000, peak() - before, found.weights_bytes, found.problem]))
"""


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    with tempfile.TemporaryDirectory() as temporary:
        folder = fabricate(Path(temporary) / "r1", "r1-nvfp4")
        write_tokenizer(folder, vocabulary=WORDS_OF_11_MB)
        results = [probe(folder) for _ in range(runs + 1)][1:]
    milliseconds = statistics.median(result[0] for result in results)
    megabytes = max(result[1] for result in results)
    print(f"facts of 22 GB   {milliseconds:5.0f} ms, bound {BOUND_MS} ms, ratio {milliseconds / BOUND_MS:.2f}")
    print(f"resident growth  {megabytes:5.1f} MB, bound {BOUND_MB} MB, ratio {megabytes / BOUND_MB:.2f}")
    return 0


def probe(folder: Path) -> tuple[float, float]:
    done = subprocess.run([sys.executable, "-c", PROBE, folder], capture_output=True, text=True, check=True)
    milliseconds, megabytes, weights, problem = json.loads(done.stdout)
    assert not problem, problem
    assert weights > 22e9
    return milliseconds, megabytes


if __name__ == "__main__":
    sys.exit(main())
