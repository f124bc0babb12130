"""A request made ready for the engine, and what is to become of the engine's answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

ThinkingMode: TypeAlias = Literal["raw", "opened", "closed"]
"""How the engine's text is read: `raw` leaves it alone; `opened` means that the prompt ends inside the thinking, so
the text starts there; `closed` means that it starts outside."""

TranscriptFormat: TypeAlias = Literal["json", "text", "verbose_json"]


@dataclass(frozen=True, slots=True)
class Transcript:
    """How a chat answer goes back as a transcription; `seconds` of audio, `language` as the client named it."""

    format: TranscriptFormat
    seconds: float
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What goes to the engine: the JSON `body`, for the route `path`.

    `notices` are response headers that say what was changed (as `x-stepaudio-max-tokens`); `transcript` is set
    where the chat answer is to be turned into a transcription.
    """

    path: str
    body: bytes
    stream: bool = False
    thinking: ThinkingMode = "raw"
    notices: tuple[tuple[bytes, bytes], ...] = ()
    transcript: Transcript | None = None


@dataclass(frozen=True, slots=True)
class Clip:
    """One piece of audio for the engine: 16 kHz mono 16-bit WAV of at most 25 s.

    `damaged` where sound is missing from the file that it came from.
    """

    wav: bytes
    seconds: float
    damaged: bool = False


class Decoder(Protocol):
    """Turns what a client sent into clips, without blocking the event loop."""

    def __call__(self, data: bytes, param: str, seconds_left: float) -> Awaitable[Sequence[Clip]]:
        """The clips of one audio part, all together at most `seconds_left` long.

        Raises RefusedError, naming `param`, where the bytes are no sound that can be passed on, or too many
        clips wait already.
        """
        ...


class EngineFacts(Protocol):
    """What the engine says of itself, asked inside the process."""

    async def max_model_len(self) -> int | None:
        """The context in tokens, prompt and answer together; None where the engine does not say."""
        ...

    async def count_tokens(self, request: Mapping[str, Any]) -> int | None:
        """The tokens of a `/tokenize` request body with text messages; None where the engine cannot count."""
        ...
