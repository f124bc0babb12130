"""Wall time of commands that people type often, beside `docker` and `ramalama`, in turn: A B C A B C.

    benchmarks/bench_cli.py [RUNS]

ramalama is installed into a temporary virtual environment; where it cannot be had, the line says so.
Prints each median and its ratio to the bound and to the peers.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

OURS = str(Path(sys.executable).with_name("stepaudio-serve"))


@dataclass(frozen=True, slots=True)
class Contest:
    """One of ours and what comes nearest to it elsewhere; the bound in seconds."""

    ours: tuple[str, ...]
    bound: float
    docker: tuple[str, ...]
    ramalama: tuple[str, ...]


CONTESTS = (
    Contest((OURS, "--help"), 0.120, ("docker", "--help"), ("--help",)),
    Contest((OURS, "status"), 0.250, ("docker", "ps"), ("ps",)),
    Contest((OURS, "plan", "--engine", "rehearsal"), 0.300, ("docker", "ps"), ("list",)),
)


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    with tempfile.TemporaryDirectory() as folder:
        ramalama = install(Path(folder), "ramalama")
        if ramalama is None:
            print("ramalama cannot be had here (pip install ramalama failed)")
        for contest in CONTESTS:
            peers = [contest.docker, *([(ramalama, *contest.ramalama)] if ramalama else [])]
            show(contest, peers, medians([contest.ours, *peers], runs, Path(folder)))
    return 0


def install(folder: Path, package: str) -> str | None:
    """The program of a package, installed into a new virtual environment; None where that fails."""
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    done = subprocess.run(
        [folder / "venv/bin/pip", "install", "--quiet", package], capture_output=True, text=True, check=False
    )
    program = folder / "venv/bin" / package
    return str(program) if done.returncode == 0 and program.exists() else None


def medians(commands: list[tuple[str, ...]], runs: int, home: Path) -> list[float]:
    """The median wall time of each, run in turn after one round to warm the disk's cache."""
    times: list[list[float]] = [[] for _ in commands]
    environment = {**os.environ, "XDG_STATE_HOME": str(home / "state")}
    for number in range(runs + 1):
        for place, command in enumerate(commands):
            began = time.perf_counter()
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=environment)
            if number:
                times[place].append(time.perf_counter() - began)
    return [statistics.median(taken) for taken in times]


def show(contest: Contest, peers: list[tuple[str, ...]], seconds: list[float]) -> None:
    ours, *theirs = seconds
    words = " ".join(("stepaudio-serve", *contest.ours[1:]))
    print(f"{words:42} {ours * 1000:5.0f} ms, bound {contest.bound * 1000:.0f} ms, ratio {ours / contest.bound:.2f}")
    for peer, taken in zip(peers, theirs, strict=True):
        name = " ".join((Path(peer[0]).name, *peer[1:]))
        print(f"    beside {name:31} {taken * 1000:5.0f} ms, ratio {ours / taken:.2f}")


if __name__ == "__main__":
    sys.exit(main())
