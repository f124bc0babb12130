"""What is fuzzed, and what must hold of every result."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DECODE_SECONDS, WORK_SECONDS = 60.0, 2.0
ROUTES = ("/v1/chat/completions", "/v1/completions", "/tokenize", "/v1/audio/transcriptions")
MULTIPART = "multipart/form-data; boundary=XX"


class PromiseBrokenError(AssertionError):
    """A result that must not be."""


def hear(data: bytes) -> str:
    """Decode `data`; what became of it."""
    import numpy as np

    from stepaudio_serve.audio.decode import Limits, decode
    from stepaudio_serve.audio.errors import AudioError

    heard = 0
    try:
        for block in decode(data, Limits(DECODE_SECONDS, WORK_SECONDS)):
            heard += len(block)
            if block.ndim != 1 or block.dtype != np.float32 or not np.isfinite(block).all():
                raise PromiseBrokenError("samples that are no finite mono float32")
    except AudioError as error:
        return error.reason
    if not 0 < heard <= DECODE_SECONDS * 16000:
        raise PromiseBrokenError(f"{heard} samples")
    return "sound"


class Context:
    """An engine of which only the length of its context is known."""

    async def max_model_len(self) -> int | None:
        """Tokens."""
        return 16384

    async def count_tokens(self, request: Mapping[str, Any]) -> int | None:
        """Not known here."""
        return None


async def decode_here(data: bytes, param: str, seconds_left: float) -> Sequence[Any]:
    """The guard's decoding, without its threads."""
    from stepaudio_serve.audio.decode import Limits, decode
    from stepaudio_serve.audio.errors import AudioError
    from stepaudio_serve.audio.pieces import cut
    from stepaudio_serve.audio.wav import wav_bytes
    from stepaudio_serve.guard.prepared import Clip
    from stepaudio_serve.guard.refusal import bad_request

    try:
        pieces = list(cut(decode(data, Limits(seconds_left, WORK_SECONDS))))
    except AudioError as error:
        raise bad_request(error.reason, str(error), param) from None
    return [Clip(wav_bytes(piece), len(piece) / 16000) for piece in pieces]


def read(data: bytes) -> str:
    """Prepare the request in `data`, whose first byte chooses the route; what became of it."""
    from stepaudio_serve.guard.config import GuardConfig
    from stepaudio_serve.guard.refusal import RefusedError
    from stepaudio_serve.guard.request.prepare import prepare

    if not data:
        return "empty"
    path = ROUTES[data[0] % len(ROUTES)]
    kind = MULTIPART if path.endswith("transcriptions") else "application/json"
    asked = prepare(path, kind, data[1:], config=GuardConfig(), decoder=decode_here, engine=Context())
    try:
        prepared = asyncio.run(asked)
    except RefusedError as error:
        refusal = error.refusal
        if not (400 <= refusal.status < 500 and refusal.message and json.loads(refusal.body)):
            raise PromiseBrokenError(f"a refusal that is none: {refusal}") from None
        return f"{refusal.status} {refusal.code}"
    check_prepared(json.loads(prepared.body, parse_constant=_no_constant))
    return "prepared"


MARKS = re.compile(r"<\|[^|<>]*\|>|</?(?:audio|tts)_[a-z0-9_]+>")
SILENT_FIELDS = {"model", "type", "data", "format", "stop"}
"""What stands there is not in the prompt."""


def check_prepared(body: Any) -> None:
    """No token of the template's in any words, and no clip but short 16 kHz mono WAV."""
    if isinstance(body, dict):
        if body.get("type") == "input_audio":
            _check_clip(body["input_audio"])
        for name, value in body.items():
            if name not in SILENT_FIELDS:
                check_prepared(value)
    elif isinstance(body, list):
        if all(isinstance(part, dict) and part.get("type") == "text" for part in body):
            check_prepared("".join(str(part.get("text")) for part in body))
        for part in body:
            check_prepared(part)
    elif isinstance(body, str) and MARKS.search(body):
        raise PromiseBrokenError(f"a special token reaches the prompt: {MARKS.findall(body)[:3]}")


def _check_clip(clip: Mapping[str, str]) -> None:
    import io
    import wave

    with wave.open(io.BytesIO(base64.b64decode(clip["data"], validate=True))) as file:
        form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        if form != (1, 2, 16000) or not 0 < file.getnframes() <= 25 * 16000:
            raise PromiseBrokenError(f"a clip of {form}, {file.getnframes()} samples")


def _no_constant(name: str) -> None:
    raise PromiseBrokenError(f"{name} in JSON for the engine")
