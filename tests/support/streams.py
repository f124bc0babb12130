"""Many clients that stream at once, each with a question whose answer is its own."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from support.attacks.attack import Target


@dataclass(frozen=True, slots=True)
class Question:
    """What one client asks, and words of the answer that no other client's answer holds."""

    body: Mapping[str, Any]
    answer: str
    prompt_tokens: int | None = None


@dataclass
class Tally:
    """What came of all the questions; `wrong` are answers that were not one's own, `lost` those that did not end."""

    answered: int = 0
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


async def ask(client: httpx.AsyncClient, question: Question, tally: Tally) -> None:
    words, ended, usage = "", False, None
    try:
        async with client.stream("POST", "/v1/chat/completions", json=question.body) as reply:
            async for line in reply.aiter_lines():
                if line == "data: [DONE]":
                    ended = True
                elif line.startswith("data: "):
                    chunk = json.loads(line[6:])
                    usage = chunk.get("usage") or usage
                    words += "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])
            status = reply.status_code
    except httpx.HTTPError as error:
        tally.lost.append(f"{type(error).__name__}: {error}")
        return
    own = question.answer in words and question.prompt_tokens in {None, (usage or {}).get("prompt_tokens")}
    if status != 200 or not ended:
        tally.lost.append(f"{status} {words}")
    elif not own:
        tally.wrong.append(f"{words!r} {usage} for {question.answer!r} {question.prompt_tokens}")
    tally.answered += 1


async def _keep_asking(client: httpx.AsyncClient, question: Question, until: float, tally: Tally) -> None:
    while True:
        await ask(client, question, tally)
        if time.monotonic() > until:
            return


async def stream(target: Target, questions: Sequence[Question], seconds: float) -> Tally:
    """One client a question, each asking again and again for `seconds`, at least once."""
    tally = Tally()
    until = time.monotonic() + seconds
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=target.url, headers=target.headers, timeout=120, limits=limits) as client:
        await asyncio.gather(*(_keep_asking(client, question, until, tally) for question in questions))
    return tally
