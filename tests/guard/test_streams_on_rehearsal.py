"""64 clients that stream at once behind the guard: none lost, none with another's answer.

STEPAUDIO_TEST_SECONDS sets how long they go on (default: 3).
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from support import sounds
from support.attacks.attack import Target, input_audio, text
from support.engines import rehearsal
from support.streams import Question, stream

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = float(os.environ.get("STEPAUDIO_TEST_SECONDS", "3"))
CLIENTS = 64


def question(target: Target, number: int) -> Question:
    """The engine tells the length of the clip it was sent, which is no other's."""
    seconds = 0.5 + number / 100
    clip = sounds.encode(sounds.tone(sounds.LOW, seconds))
    body = target.question([input_audio(clip), text(f"I am {number}.")], stream=True, max_tokens=400)
    return Question(body, f"Clip 1: {seconds:.2f} s")


def test_none_is_lost_and_none_gets_anothers_answer(tmp_path: Path) -> None:
    pace = {"STEPAUDIO_REHEARSAL_TOKEN_SECONDS": "0.005"}
    with rehearsal(tmp_path, environment=pace) as running:
        target = Target(running.wait_until_ready().port, "Step-Audio-R1")
        tally = asyncio.run(stream(target, [question(target, number) for number in range(CLIENTS)], SECONDS))
    assert tally.lost == []
    assert tally.wrong == []
    assert tally.answered >= CLIENTS
