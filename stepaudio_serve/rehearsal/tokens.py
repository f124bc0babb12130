"""Words in the place of tokens: there is no tokenizer here, and a word is about as long as a token.

A piece is a special token, or a word with the white space before it; joined, pieces are the text again.
"""

from __future__ import annotations

import math
import re
import zlib

AUDIO_MARK = "<audio_patch>"
TOKENS_PER_AUDIO_SECOND = 12.5
"""What Step-Audio's encoder makes of a second; a start and an end are added to each clip."""

_PIECE = re.compile(r"<\|\w+\|>|</?think>|<audio_patch>|\s*[^\s<]+|\s+|<")
_KNOWN_IDS = {"<|EOT|>": 151665, AUDIO_MARK: 151690}
_ORDINARY_IDS = 151643


def split(text: str) -> list[str]:
    """Cut `text` into pieces."""
    return _PIECE.findall(text)


def identifier(piece: str) -> int:
    """A number for a piece: always the same one, and the model's own where that is known."""
    return _KNOWN_IDS.get(piece, zlib.crc32(piece.encode()) % _ORDINARY_IDS)


def of_clip(seconds: float) -> int:
    """Tokens that a clip takes in the prompt."""
    return math.ceil(seconds * TOKENS_PER_AUDIO_SECOND) + 2


def of_prompt(prompt: str, clip_seconds: tuple[float, ...]) -> int:
    """Tokens of a rendered prompt, each clip counted by its length."""
    return len(split(prompt)) + sum(of_clip(seconds) - 1 for seconds in clip_seconds)
