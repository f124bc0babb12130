"""Slow looks run side by side, and none outlasts its time."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from stepaudio_serve.facts.looking import Look

HANGS = """
import time
from stepaudio_serve.facts.looking import Look
print(Look(lambda: time.sleep(600), seconds=0.05).answer(lambda within: within))
"""


def test_what_was_seen_is_the_answer() -> None:
    assert Look(lambda: 7, seconds=60).answer(lambda _: 0) == 7


def test_looks_run_side_by_side() -> None:
    both = threading.Barrier(2)  # neither passes without the other
    looks = [Look(lambda: both.wait(timeout=30) >= 0, seconds=60) for _ in range(2)]
    assert [look.answer(lambda _: False) for look in looks] == [True, True]


def test_a_look_that_hangs_is_told_and_left_behind() -> None:
    hanging = threading.Event()
    look: Look[str] = Look(lambda: str(hanging.wait()), seconds=0.05)
    assert look.answer(lambda within: f"the daemon {within}") == "the daemon gave no answer within 0.05 s"
    hanging.set()


def test_a_look_that_hangs_does_not_keep_the_process_from_ending() -> None:
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "gave no answer within 0.05 s")


def test_what_a_look_raises_is_raised_where_its_answer_is_wanted() -> None:
    look: Look[int] = Look(lambda: 1 // 0, seconds=60)
    with pytest.raises(ZeroDivisionError):
        look.answer(lambda _: 0)


def test_an_answer_may_be_none() -> None:
    look: Look[int | None] = Look(lambda: None, seconds=60)
    assert look.answer(lambda _: 1) is None
