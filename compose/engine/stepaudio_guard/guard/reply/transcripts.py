"""A chat answer as the answer of OpenAI's `/v1/audio/transcriptions`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..refusal import Refusal
from .sse import dump
from .thinking import separate

if TYPE_CHECKING:
    from ..prepared import ThinkingMode, Transcript
    from .choices import Json

CUT_OFF = Refusal(
    422,
    "transcript_cut_off",
    "The context was full before the model had written the transcript. Send a shorter recording, "
    "or cut this one into pieces.",
)
"""Not 5xx, which OpenAI's clients take as a reason to ask the same again."""


def transcript_of(completion: Json, wanted: Transcript, mode: ThinkingMode) -> tuple[bytes, bytes] | Refusal:
    """The content type and the body; a refusal where the answer ended before there was a transcript.

    Nothing is claimed that was not measured: the language is the one that the client named, and there are no
    segments, since the model tells no times.
    """
    choice = completion["choices"][0]
    message = choice["message"]
    text = message.get("content")
    if isinstance(text, str) and not (message.get("reasoning_content") or message.get("reasoning")):
        text = separate(text, choice.get("finish_reason") or "", mode).text
    if not isinstance(text, str):
        return CUT_OFF
    text = text.strip()
    if wanted.format == "text":
        return b"text/plain; charset=utf-8", f"{text}\n".encode()
    if wanted.format == "json":
        return b"application/json", dump({"text": text})
    about = {"task": "transcribe", "language": wanted.language, "duration": wanted.seconds}
    return b"application/json", dump({**about, "text": text})
