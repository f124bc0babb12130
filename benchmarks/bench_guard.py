"""What the guard costs: the same engine with it and without, in turn A B A B.

    benchmarks/bench_guard.py [RUNS]

The engine is the rehearsal, which takes no time to think, so that small differences show; for the throughput it is
paced as a GPU is, and a real vLLM on the CPU is measured beside it where the test bed has one.
Prints each median and its ratio to the bound.
"""

from __future__ import annotations

import asyncio
import base64
import re
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from support import sounds, testbed  # noqa: E402
from support.engines import Running, rehearsal, vllm  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT_BOUND, AUDIO_BOUND = 0.002, 0.010
"""Seconds that a request may take longer."""

THROUGHPUT_BOUND = 0.98
STREAMS, TOKENS = 32, 400
PACE = {"STEPAUDIO_REHEARSAL_TOKEN_SECONDS": "0.03", "STEPAUDIO_REHEARSAL_THINKING_WORDS": "60"}
"""32 streams of 33 tokens a second are about 1000 a second together."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The two engines."""

    bare: Running
    guarded: Running

    @property
    def both(self) -> tuple[Running, Running]:
        return self.bare, self.guarded


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with ExitStack() as stack:
        pair = start(stack)
        added("a text request", pair, question("Hello"), TEXT_BOUND, runs)
        added("25 s of 16 kHz WAV", pair, question(clip(25)), AUDIO_BOUND, max(10, runs // 4))
    with ExitStack() as stack:
        throughput("rehearsal, 1000 tokens/s", start(stack, PACE), max(3, runs // 40))
    python = testbed.root() / "venv/bin/python"
    if python.exists():
        with ExitStack() as stack:
            throughput("vLLM on the CPU, as fast as it can", start_vllm(stack, python), max(3, runs // 40))
    return 0


# ---- engines


def start(stack: ExitStack, environment: Mapping[str, str] | None = None) -> Pair:
    bare, guarded = (
        stack.enter_context(rehearsal(folder(stack), guarded=guarded, environment=environment))
        for guarded in (False, True)
    )
    return Pair(bare.wait_until_ready(), guarded.wait_until_ready())


def start_vllm(stack: ExitStack, python: Path) -> Pair:
    listener = testbed.root() / "ckpt/tiny-listener"
    bare, guarded = (
        stack.enter_context(vllm(python, listener, folder(stack), guarded=guarded)).wait_until_ready()
        for guarded in (False, True)
    )
    return Pair(bare, guarded)


def folder(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory()))


def question(content: Any, **more: Any) -> dict[str, Any]:
    return {"model": "Step-Audio-R1", "messages": [{"role": "user", "content": content}], "max_tokens": 1, **more}


def clip(seconds: float) -> list[dict[str, Any]]:
    data = base64.b64encode(sounds.encode(sounds.tone(sounds.LOW, seconds))).decode()
    return [{"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}, {"type": "text", "text": "What?"}]


# ---- added time


def added(what: str, pair: Pair, body: Mapping[str, Any], bound: float, runs: int) -> None:
    """The median of the differences between a request with the guard and the one without just before it."""
    with httpx.Client(timeout=60) as client:
        for engine in pair.both * 5:
            ask(client, engine, body)
        taken = [[ask(client, engine, body) for engine in pair.both] for _ in range(runs)]
    bare, guarded = (statistics.median(times) for times in zip(*taken, strict=True))
    more = statistics.median(with_guard - without for without, with_guard in taken)
    print(
        f"{what:32} without {bare * 1000:6.2f} ms, with {guarded * 1000:6.2f} ms, added {more * 1000:5.2f} ms, "
        f"bound {bound * 1000:.0f} ms, ratio {more / bound:.2f}"
    )


def ask(client: httpx.Client, engine: Running, body: Mapping[str, Any]) -> float:
    began = time.perf_counter()
    client.post(f"{engine.url}/v1/chat/completions", json=body).raise_for_status()
    return time.perf_counter() - began


# ---- throughput


def throughput(what: str, pair: Pair, rounds: int) -> None:
    """Tokens a second of all streams together."""
    body = question("Hello", max_tokens=TOKENS, stream=True, ignore_eos=True, temperature=0)
    body["stream_options"] = {"include_usage": True}
    for engine in pair.both:
        asyncio.run(tokens_per_second(engine, body))
    rates = [[asyncio.run(tokens_per_second(engine, body)) for engine in pair.both] for _ in range(rounds)]
    bare, guarded = (statistics.median(found) for found in zip(*rates, strict=True))
    ratio = statistics.median(with_guard / without for without, with_guard in rates)
    print(
        f"{STREAMS} streams: {what:20} without {bare:6.0f}/s, with {guarded:6.0f}/s, "
        f"bound {THROUGHPUT_BOUND}, ratio {ratio:.3f}"
    )


async def tokens_per_second(engine: Running, body: Mapping[str, Any]) -> float:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=120, limits=limits) as client:
        began = time.perf_counter()
        counts = await asyncio.gather(*(tokens(client, engine, body) for _ in range(STREAMS)))
        return sum(counts) / (time.perf_counter() - began)


async def tokens(client: httpx.AsyncClient, engine: Running, body: Mapping[str, Any]) -> int:
    """Reads a stream to its end; the tokens that the engine counted."""
    end = b""
    async with client.stream("POST", f"{engine.url}/v1/chat/completions", json=body) as answer:
        answer.raise_for_status()
        async for data in answer.aiter_raw():
            end = (end + data)[-2000:]
    return int(re.findall(rb'"completion_tokens": ?(\d+)', end)[-1])


if __name__ == "__main__":
    sys.exit(main())
