"""Recordings and words as the messages that an OpenAI-compatible endpoint takes."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .recording import Clip, Recording

Part: TypeAlias = dict[str, object]
Message: TypeAlias = dict[str, object]


def user_message(text: str, recordings: Sequence[Recording] = ()) -> Message:
    """One turn of the user: the recordings in their order, each as its clips one after another, then the text."""
    parts = [audio_part(clip) for recording in recordings for clip in recording.clips]
    if text:
        parts.append({"type": "text", "text": text})
    return {"role": "user", "content": parts}


def audio_part(clip: Clip) -> Part:
    """A clip as a content part, in the form that every engine takes."""
    data = base64.b64encode(clip.wav).decode("ascii")
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
