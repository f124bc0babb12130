"""Throws broken inputs at what reads a stranger's bytes: the guard's request reader and the audio decoder.

    tools/fuzz.py [request|sound] [--inputs N] [--seed N] [--guided]

Inputs are those of the tests' attack list, mutated. Allowed are a result that keeps its promises
(tests/support/fuzzing) and the one error of each part; after anything else, a crash, a hang, or memory beyond the
bound, the input is written to a file and the run ends with 1. The inputs run in a child process, since a fault in a C
library ends the process it is in.
`--guided` lets atheris (pip install atheris) choose inputs by coverage.
"""

from __future__ import annotations

import argparse
import faulthandler
import mmap
import multiprocessing
import os
import random
import resource
import signal
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.fuzzing.inputs import LARGEST, Mutator, request_seeds, sound_seeds  # noqa: E402
from support.fuzzing.targets import hear, read  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECONDS = 10.0
"""That long an input may take before it counts as hung."""

MEMORY_MIB = 400
"""By so much the process may grow over all inputs."""


TARGETS: Mapping[str, tuple[Callable[[bytes], str], Callable[[], list[bytes]]]] = {
    "request": (read, request_seeds),
    "sound": (hear, sound_seeds),
}


def work(target: str, seed: int, count: int, shared: mmap.mmap, results: Any, stack: IO[bytes]) -> None:
    """The child: announces each input in `shared`, then runs it."""
    with open(os.devnull, "wb") as nothing:  # noqa: PTH123 - C libraries talk about every damaged frame
        os.dup2(nothing.fileno(), 2)
    faulthandler.register(signal.SIGUSR1, file=stack)
    run, make_seeds = TARGETS[target]
    mutator = Mutator(make_seeds(), random.Random(seed), structured=target == "request")  # noqa: S311
    outcomes: dict[str, int] = {}
    slowest, before = 0.0, _peak_mib()
    for number in range(count):
        data = mutator.next()
        shared[:12] = struct.pack("<QI", number + 1, len(data))
        shared[12 : 12 + len(data)] = data
        began = time.perf_counter()
        try:
            outcome = run(data)
        except BaseException as error:  # noqa: BLE001 - the point is to see every one
            results.put(("fault", f"{type(error).__name__}: {error}"[:500]))
            return
        slowest = max(slowest, time.perf_counter() - began)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        if number == 200:  # imports and pools are paid for by then
            before = _peak_mib()
        if number > 200 and _peak_mib() - before > MEMORY_MIB:
            results.put(("fault", f"grew by {_peak_mib() - before} MiB"))
            return
    results.put(("done", outcomes, slowest, _peak_mib() - before))


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def fuzz(target: str, seed: int, count: int) -> bool:
    """Run `count` inputs and print the verdict; whether all was well."""
    shared = mmap.mmap(-1, LARGEST + 12)
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    stack = tempfile.TemporaryFile()  # noqa: SIM115 - read when the child has hung
    child = context.Process(target=work, args=(target, seed, count, shared, results, stack))
    began = time.perf_counter()
    child.start()
    fault = watch(child, shared, stack)
    seconds = time.perf_counter() - began
    told = results.get() if not results.empty() else ("fault", fault or f"the process ended with {child.exitcode}")
    if told[0] == "fault":
        number, length = struct.unpack("<QI", shared[:12])
        place = Path(tempfile.gettempdir()) / f"fuzz-{target}-{seed}-{number}"
        place.write_bytes(shared[12 : 12 + length])
        print(f"{target}: FAULT after {number} inputs: {told[1]}\n  the input: {place}")
        return False
    _, outcomes, slowest, grown = told
    print(
        f"{target}: {count} inputs, {count / seconds:.0f}/s, no fault; "
        f"slowest {slowest * 1000:.0f} ms, grew {grown} MiB"
    )
    for outcome, times in sorted(outcomes.items(), key=lambda item: -item[1]):
        print(f"  {times:8} {outcome}")
    return True


def watch(child: Any, shared: mmap.mmap, stack: IO[bytes]) -> str:
    """Wait for the child's end; where one input takes too long, end it and say so."""
    seen, since = b"", time.monotonic()
    while child.is_alive():
        child.join(0.2)
        if shared[:8] != seen:
            seen, since = shared[:8], time.monotonic()
        elif time.monotonic() - since > SECONDS and seen != bytes(8) and seen:
            os.kill(child.pid, signal.SIGUSR1)
            child.join(1)
            child.kill()
            child.join()
            stack.seek(0)
            return f"an input took more than {SECONDS:g} s\n{stack.read().decode()}"
    return ""


def guided(target: str, seed: int, count: int) -> None:
    """The same by atheris, which looks which lines an input reaches; libFuzzer's own report and bounds."""
    import atheris

    with atheris.instrument_imports(include=["stepaudio_serve"]), tempfile.TemporaryDirectory() as folder:
        from stepaudio_serve.audio import decode  # noqa: F401
        from stepaudio_serve.guard.request import prepare  # noqa: F401

        run, make_seeds = TARGETS[target]
        for number, data in enumerate(make_seeds()):
            (Path(folder) / f"seed-{number}").write_bytes(data[:LARGEST])
        flags = [
            f"-runs={count}",
            f"-seed={seed}",
            f"-max_len={LARGEST}",
            f"-timeout={SECONDS:g}",
            "-rss_limit_mb=2048",
        ]
        atheris.Setup([sys.argv[0], *flags, folder], run)
        atheris.Fuzz()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", choices=sorted(TARGETS))
    parser.add_argument("--inputs", type=int, default=100_000, help="for each target (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--guided", action="store_true", help="coverage-guided, one target")
    options = parser.parse_args()
    targets = [options.target] if options.target else sorted(TARGETS)
    if options.guided:
        guided(targets[0], options.seed, options.inputs)
        return 0
    verdicts = [fuzz(target, options.seed, options.inputs) for target in targets]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
