"""How many tokens an answer may have: what was asked for, as far as the context holds it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..refusal import bad_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..prepared import EngineFacts

AUDIO_TOKENS_PER_SECOND = 12.5
"""Step-Audio's encoder and adaptor: 25 s become 313 tokens."""

_TOKENS_AROUND_A_CLIP = 3
"""A start and an end token, and a newline where parts are joined by one."""

_TOKENS_OF_THE_TEMPLATE = 64
_TOKENS_AROUND_A_MESSAGE = 16
"""More than the template writes: `<|BOT|>human`, newline, `<|EOT|>`, and the opened thinking at the end."""

_NFC_GROWTH = 3
"""How many times longer NFC makes text in UTF-8 at most (Unicode Standard Annex 15, "Maximum Expansion Factors")."""

_MARGIN = 8
"""Tokens held back from a lowered answer, for what a join of text and audio may add."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a prompt takes of the context: an upper bound of its text's tokens, and how to have them counted."""

    text_bound: int
    audio_tokens: int
    count_request: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Allowance:
    """The most tokens of the answer, None where the engine is to decide; `notices` are response headers."""

    tokens: int | None
    notices: tuple[tuple[bytes, bytes], ...] = ()


def text_bound(texts: Iterable[str], messages: int) -> int:
    """An upper bound of the tokens of `texts` in `messages`: a token of the byte-level vocabulary is a byte or more.

    The tokenizer normalises to NFC first, which can lengthen text. That is bounded, not done: `unicodedata` takes time
    with the square of the combining marks in a row.
    """
    size = 0
    for text in texts:
        size += len(text) if text.isascii() else _NFC_GROWTH * len(text.encode())
        size += 1
    return size + messages * _TOKENS_AROUND_A_MESSAGE + _TOKENS_OF_THE_TEMPLATE


def audio_tokens(seconds: Iterable[float]) -> int:
    """The tokens that clips of these lengths take."""
    return sum(math.ceil(clip * AUDIO_TOKENS_PER_SECOND) + _TOKENS_AROUND_A_CLIP for clip in seconds)


async def allow(asked: int | None, most: int | None, prompt: Prompt, engine: EngineFacts) -> Allowance:
    """The answer's length for a request that asked for `asked` tokens on a server that gives at most `most`.

    Raises RefusedError where the prompt leaves no room for an answer.
    """
    wanted = most if asked is None else asked if most is None else min(asked, most)
    if wanted is None:
        return Allowance(None)
    lowered = Allowance(wanted)
    if asked is not None and wanted < asked:
        lowered = Allowance(wanted, _notices(asked, wanted, f"this server gives {most} tokens at most"))
    context = await engine.max_model_len()
    if context is None or wanted + prompt.text_bound + prompt.audio_tokens <= context:
        return lowered
    counted = await engine.count_tokens(prompt.count_request)
    why = f"the context holds {context} tokens"
    if counted is None:
        why += ", and the prompt's text was estimated, not counted"
        room = context - prompt.text_bound - prompt.audio_tokens
        if room < 1:
            return lowered
    else:
        room = context - counted - prompt.audio_tokens
        if wanted <= room:
            return lowered
        room = max(room - _MARGIN, min(room, 1))
    if room < 1:
        raise _no_room(context, counted or 0, prompt.audio_tokens)
    if asked is None:
        return replace(lowered, tokens=room)
    return Allowance(room, _notices(asked, room, why))


def _notices(asked: int, given: int, why: str) -> tuple[tuple[bytes, bytes], ...]:
    return (
        (b"x-stepaudio-max-tokens", str(given).encode()),
        (b"x-stepaudio-notice", f"max_tokens lowered from {asked} to {given}: {why}".encode()),
    )


def _no_room(context: int, text: int, audio: int) -> Exception:
    seconds = audio / AUDIO_TOKENS_PER_SECOND
    return bad_request(
        "context_length_exceeded",
        f"The prompt leaves no room for an answer: the context holds {context} tokens, the text takes {text} and the "
        f"audio {audio} (about {seconds:.0f} s). Send less text, or less audio: 12.5 tokens are one second.",
        "messages",
    )
