"""What the attacks do to vLLM when no guard stands before it: one line an attack, for docs/security.md.

    PYTHONPATH=tests python tests/vllm/without_guard.py [WORDS OF A NAME ...]

No test: the engine is meant to come to harm. After each attack an ordinary question is asked; where its answer is
wrong or does not come, the engine is started anew.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from support import sounds, testbed
from support.attacks.attack import Attack, Reply, Target, input_audio, text
from support.attacks.corpus import GROUPS
from support.attacks.wire import URLS, Catcher, fetch
from support.engines import Running, vllm

KEY = "a-key"
FLAGS = ("--api-key", KEY)
SEVERAL_PROCESSES = {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
MIB = 1 << 20
MOST_MIB = 12000
"""An engine that has grown beyond is killed: it would take the machine with it."""


class Watch:
    """Sees how much memory a group of processes takes while the `with` lasts, in MiB, and ends what takes too much."""

    def __init__(self, leader: int) -> None:
        self._leader = leader
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.first = self.highest = 0

    def __enter__(self) -> Watch:
        self.first = self.highest = self._now()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            self.highest = max(self.highest, self._now())
            if self.highest > MOST_MIB:
                os.killpg(self._leader, signal.SIGKILL)
                return

    def _now(self) -> int:
        try:
            leader = psutil.Process(self._leader)
            processes = [leader, *leader.children(recursive=True)]
            return int(sum(process.memory_info().rss for process in processes) // MIB)
        except psutil.NoSuchProcess:
            return 0


@dataclass
class Prey:
    """The engine that is attacked, and started anew where it came to harm."""

    stack: ExitStack
    running: Running | None = None

    def ready(self) -> Target:
        if self.running is None:
            folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
            python = testbed.root() / "venv/bin/python"
            listener = testbed.root() / "ckpt/tiny-listener"
            started = vllm(python, listener, folder, guarded=False, environment=SEVERAL_PROCESSES, flags=FLAGS)
            self.running = self.stack.enter_context(started).wait_until_ready()
        return Target(self.running.port, "Step-Audio-R1", KEY)

    def watch(self) -> Watch:
        assert self.running is not None
        return Watch(self.running.process.pid)

    def discard(self) -> None:
        self.stack.close()
        self.running = None


def still_answers(target: Target) -> str:
    try:
        reply = httpx.post(
            target.url + "/v1/chat/completions",
            json=target.question([input_audio(sounds.wav("high tone")), text("What do you hear?")]),
            headers=target.headers,
            timeout=30,
        )
    except httpx.HTTPError as error:
        return f"dead or hung: {type(error).__name__}"
    return "answers" if "high tone" in reply.text else f"wrong: {reply.status_code} {reply.text[:80]!r}"


def suffer(prey: Prey, name: str, attack: Attack | None, url: str = "") -> None:
    target = prey.ready()
    began = time.monotonic()
    asked = 0
    with prey.watch() as watch:
        try:
            if attack is not None:
                reply = attack.send(target)
            else:
                with Catcher() as catcher:
                    reply, asked = fetch(target, catcher.port, "127.0.0.1", url), len(catcher.asked)
        except (httpx.HTTPError, OSError) as error:
            reply = Reply(-1, type(error).__name__)
    seconds = time.monotonic() - began
    grown = watch.highest - watch.first
    after = still_answers(target)
    called = f" | FETCHED {asked}" if asked else ""
    expected = "/".join(map(str, sorted(attack.expected))) if attack else "400"
    told = reply.text[:110].replace("\n", " ")
    print(
        f"{name} | guard {expected} | {reply.status} | {seconds:.1f} s | {grown:+d} MiB | {after}{called} | {told}",
        flush=True,
    )
    if after != "answers":
        prey.discard()


def main() -> None:
    wanted = [word.lower() for word in sys.argv[1:]]
    with ExitStack() as stack:
        prey = Prey(stack)
        for group, attacks in GROUPS.items():
            for attack in attacks:
                if not wanted or any(word in f"{group} {attack.name}".lower() for word in wanted):
                    suffer(prey, attack.name, attack)
        for url in URLS:
            if not wanted or "url" in wanted:
                suffer(prey, f"audio_url {url}", None, url)


if __name__ == "__main__":
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    main()
