"""How fast `up` reacts: to the engine's first healthy answer, to the canary's answer, to a container's death.

    benchmarks/bench_startup.py [RUNS]

Needs a Docker Engine and the rehearsal image (`make rehearsal-image`). Prints each median and its ratio to the bound.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import docker

NAME = "stepaudio-bench"
BOUNDS = {
    "healthy answer -> canary sent": 0.100,
    "canary's answer -> exit": 0.100,
    "container's death -> exit with its diagnosis": 0.500,
}


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    seconds: dict[str, list[float]] = {what: [] for what in BOUNDS}
    with tempfile.TemporaryDirectory() as home:
        for _ in range(runs):
            for what, value in {**start(Path(home)), **death(Path(home))}.items():
                seconds[what].append(value)
    for what, bound in BOUNDS.items():
        median, worst = statistics.median(seconds[what]), max(seconds[what])
        print(
            f"{what:46} {median * 1000:6.0f} ms (worst {worst * 1000:4.0f}), "
            f"bound {bound * 1000:3.0f} ms, ratio {median / bound:.2f}"
        )
    return 0


def start(home: Path) -> dict[str, float]:
    """A start that works: the two reactions around the canary."""
    process = up(home, load_seconds=0.5)
    out, words = process.communicate()
    ended = time.time()
    run(home, "down", NAME)
    if process.returncode:
        raise SystemExit(words)
    told = json.loads(out)
    return {
        "healthy answer -> canary sent": told["seconds"]["reaction"],
        "canary's answer -> exit": ended - told["canary"]["answered_at"],
    }


def death(home: Path) -> dict[str, float]:
    """A start whose container is killed while it loads."""
    client = docker.from_env()
    process = up(home, load_seconds=60)
    assert process.stderr is not None
    while "loading weights" not in process.stderr.readline():
        if process.poll() is not None:
            raise SystemExit("up ended before it loaded")
    client.api.kill(NAME)
    process.communicate()
    ended = time.time()
    finished = seconds_of(client.api.inspect_container(NAME)["State"]["FinishedAt"])
    run(home, "down", NAME)
    return {"container's death -> exit with its diagnosis": ended - finished}


def up(home: Path, *, load_seconds: float) -> subprocess.Popen[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return subprocess.Popen(
        command("up", "--engine", "rehearsal", "--name", NAME, "--port", str(port), "--json"),
        env={**environment(home), "STEPAUDIO_REHEARSAL_LOAD_SECONDS": str(load_seconds)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(home: Path, *words: str) -> None:
    subprocess.run(command(*words), env=environment(home), capture_output=True, check=True)


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "stepaudio_serve", *words]


def environment(home: Path) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith("STEPAUDIO_")}
    return {**own, "XDG_STATE_HOME": str(home)}


def seconds_of(stamp: str) -> float:
    """Docker's stamp, whose nanoseconds Python does not read before 3.11."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole + "+00:00").timestamp() + float(f"0.{fraction or 0}")


if __name__ == "__main__":
    sys.exit(main())
