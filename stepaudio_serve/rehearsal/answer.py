"""What the rehearsal engine says: the thinking, then what it measured, in the model's format."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle, islice
from typing import TYPE_CHECKING, Literal

from . import tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .listen import Clip

OPENS_THINKING = "<think>"
ENDS_THINKING = "</think>"
GARBAGE = "!" * 64
_FILLER = ["Still", "rehearsing,", "and", "so", "there", "is", "nothing", "to", "think", "about."]


@dataclass(frozen=True, slots=True)
class Reply:
    """The pieces to send, and why there are no more: `stop` (with the stop string, if one was met) or `length`."""

    pieces: tuple[str, ...]
    finish_reason: Literal["stop", "length"]
    stop_reason: str | None = None


def compose(prompt: str, clips: Sequence[Clip], prompt_tokens: int, *, thinking_words: int = 0) -> str:
    """The whole text for a rendered prompt; it starts inside the thinking where the prompt opened it."""
    answer = " ".join(["I am a rehearsal: no model listened.", *_heard(clips)])
    if not opens_thinking(prompt):
        return answer
    thinking = (
        f"This is a rehearsal. The prompt has {len(prompt)} characters, about {prompt_tokens} tokens, "
        f"and {_count(len(clips), 'clip')} of audio. I can only measure."
    )
    missing = max(0, thinking_words - len(thinking.split()))
    filler = " ".join(islice(cycle(_FILLER), missing))
    return f"{thinking}{' ' if filler else ''}{filler}\n{ENDS_THINKING}\n\n{answer}"


def opens_thinking(prompt: str) -> bool:
    """Whether a rendered prompt leaves the model inside its thinking."""
    return prompt.rstrip().endswith(OPENS_THINKING)


def describe(clip: Clip) -> str:
    """`2.40 s, 16000 Hz, mono, level -18.2 dBFS, peak -15.2 dBFS, pitch about 220 Hz`."""
    channels = {1: "mono", 2: "stereo"}.get(clip.channels, f"{clip.channels} channels")
    words = [f"{clip.seconds:.2f} s", f"{clip.sample_rate} Hz", channels]
    if clip.level_dbfs is None or clip.peak_dbfs is None:
        words.append("silence")
    else:
        words += [f"level {clip.level_dbfs:.1f} dBFS", f"peak {clip.peak_dbfs:.1f} dBFS"]
    words.append("no clear pitch" if clip.pitch_hz is None else f"pitch about {clip.pitch_hz:.0f} Hz")
    return ", ".join(words)


def cut(text: str, *, stop: Sequence[str] = (), include_stop: bool = False, max_tokens: int) -> Reply:
    """End `text` after `max_tokens` pieces, or before (with `include_stop` after) the first stop string."""
    pieces = tokens.split(text)
    kept = pieces[:max_tokens]
    sent = "".join(kept)
    met = min(((sent.index(word), word) for word in stop if word in sent), default=None, key=lambda pair: pair[0])
    if met is not None:
        place, word = met
        return Reply(tuple(tokens.split(sent[: place + len(word) * include_stop])), "stop", word)
    return Reply(tuple(kept), "stop" if len(kept) == len(pieces) else "length")


def _heard(clips: Sequence[Clip]) -> list[str]:
    if not clips:
        return ["There was no audio."]
    return [f"Clip {number}: {describe(clip)}." for number, clip in enumerate(clips, 1)]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
