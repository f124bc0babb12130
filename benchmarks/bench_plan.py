"""One plan from settings and facts: the pure part of `plan`, with every size left to `auto`.

    benchmarks/bench_plan.py [RUNS]

In one process, for the machines of the profiles and for a card on which nothing fits, where the nearest settings are
looked for in vain: the longest way there is. Prints each median of at least 200 plans beside the bound.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.facts import FACTS, facts

from stepaudio_serve.facts.recorded import on_another_machine
from stepaudio_serve.plan.build import make_plan
from stepaudio_serve.settings.options import Settings
from stepaudio_serve.settings.profiles import load_profile

if TYPE_CHECKING:
    from stepaudio_serve.facts.gather import Facts

BOUND_MS = 5.0
AUTO = Settings(max_model_len="auto", max_num_batched_tokens="auto", tensor_parallel_size="auto")


def main() -> int:
    runs = max(200, int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    machines = {name: machine_of(name) for name in ("rtx-5090", "rtx-pro-6000", "l40s-x4")}
    machines["eight cards of 48 GiB"] = facts(*[48.0] * 8)
    machines["24 GiB, does not fit"] = facts(24.0)
    for name, there in machines.items():
        milliseconds = median(there, runs)
        ratio = milliseconds / BOUND_MS
        print(f"plan for {name:22} {milliseconds:5.2f} ms, bound {BOUND_MS:.0f} ms, ratio {ratio:.2f}")
    return 0


def machine_of(profile: str) -> Facts:
    """A profile's machine with a checkpoint and a container engine."""
    there = on_another_machine(FACTS, load_profile(profile).machine, named=profile)
    return replace(there, engine=FACTS.engine)


def median(there: Facts, runs: int) -> float:
    """Milliseconds for one plan, after one that fills caches."""
    times = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        make_plan(AUTO, there)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:]) * 1000


if __name__ == "__main__":
    sys.exit(main())
