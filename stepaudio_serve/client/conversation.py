"""Recordings and words as the messages that an OpenAI-compatible endpoint takes."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, TypeAlias

from .recording import clips

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .recording import Recording

Part: TypeAlias = dict[str, object]
Message: TypeAlias = dict[str, object]


def user_message(text: str, recordings: Sequence[Recording] = ()) -> Message:
    """One turn of the user: the recordings in their order, each as one clip or more, then the text.

    Raises `SettingsError` for a WAV that is damaged or holds no sound.
    """
    parts = [audio_part(clip) for recording in recordings for clip in clips(recording)]
    if text:
        parts.append({"type": "text", "text": text})
    return {"role": "user", "content": parts}


def audio_part(clip: Recording) -> Part:
    """A clip as a content part.

    In `input_audio` the engine takes the formats `wav` and `mp3` and answers HTTP 400 to any other, so FLAC
    and OGG travel as an `audio_url` that holds the bytes.
    """
    data = base64.b64encode(clip.data).decode("ascii")
    if clip.format in {"wav", "mp3"}:
        return {"type": "input_audio", "input_audio": {"data": data, "format": clip.format}}
    return {"type": "audio_url", "audio_url": {"url": f"data:audio/{clip.format};base64,{data}"}}
