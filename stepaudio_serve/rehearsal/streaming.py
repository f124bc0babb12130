"""A reply as it goes out: word by word as events, or whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import replies
from .answer import ENDS_THINKING
from .engine import EngineDeadError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from .conversation import Turn
    from .engine import Engine

DEATH = "EngineCore encountered an issue. See stack trace (above) for the root cause."
DONE = "data: [DONE]\n\n"


async def events(turn: Turn, engine: Engine, *, split_thinking: bool) -> AsyncIterator[str]:
    """Server-sent events; a dying engine ends them with an error event, as vLLM does."""
    try:
        async with engine.place(turn.prompt_tokens, turn.failure):
            for index in turn.choices:
                yield _event(_chunk(turn, index, {"role": "assistant", "content": ""}))
            async for thinking, piece in _spoken(turn, engine, split_thinking=split_thinking):
                for index in turn.choices:
                    yield _event(_chunk(turn, index, replies.delta(piece, thinking=thinking)))
    except EngineDeadError:
        yield _event(replies.error(DEATH, 500))
        yield DONE
        return
    reply = turn.reply
    for index in turn.choices:
        last = replies.chunk_choice(index, {"content": ""}, reply.finish_reason, reply.stop_reason)
        yield _event(replies.chunk(turn.head, [last]))
    if turn.request.stream_options and turn.request.stream_options.include_usage:
        yield _event(replies.chunk(turn.head, [], turn.usage))
    yield DONE


async def whole(turn: Turn, engine: Engine, *, split_thinking: bool) -> Mapping[str, Any]:
    """The completion object, after as long as the stream would have taken. Raises EngineDeadError."""
    async with engine.place(turn.prompt_tokens, turn.failure):
        said = [part async for part in _spoken(turn, engine, split_thinking=split_thinking)]
    message = _message(said, split_thinking=split_thinking)
    reply = turn.reply
    choices = [replies.choice(index, message, reply.finish_reason, reply.stop_reason) for index in turn.choices]
    return replies.completion(turn.head, choices, turn.usage)


async def _spoken(turn: Turn, engine: Engine, *, split_thinking: bool) -> AsyncIterator[tuple[bool, str]]:
    """Each piece with whether it is thinking, which is told apart only with a reasoning parser."""
    thinking = split_thinking and turn.starts_thinking
    async for piece in engine.speak(turn.reply, turn.failure):
        if thinking and piece == ENDS_THINKING:
            thinking = False
        else:
            yield thinking, piece


def _message(said: Iterable[tuple[bool, str]], *, split_thinking: bool) -> Mapping[str, Any]:
    said = list(said)
    content = "".join(piece for thinking, piece in said if not thinking)
    if not split_thinking:
        return {"content": content}
    thought = "".join(piece for thinking, piece in said if thinking)
    return replies.delta(thought, thinking=True) | {"content": content or None}


def _chunk(turn: Turn, index: int, change: Mapping[str, Any]) -> Mapping[str, Any]:
    return replies.chunk(turn.head, [replies.chunk_choice(index, change)])


def _event(content: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False, separators=(',', ':'))}\n\n"
