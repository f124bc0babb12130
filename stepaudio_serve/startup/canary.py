"""The canary: a real question, about a sound shipped with the package, asked before the endpoint is handed over.

An engine can start cleanly and answer garbage (a wrong FP4 kernel does that), so only a question whose answer
is known tells whether it hears. Import this module before the engine is ready: it brings the HTTP client.
"""

from __future__ import annotations

import io
import re
import time
import unicodedata
import wave
from contextlib import closing
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..client.answer import Finish, Text, whole
from ..client.conversation import user_message
from ..client.recording import Clip, Recording
from ..client.stream import stream
from ..client.wire import Question
from ..errors import StepAudioError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..client.answer import Event

Engine: TypeAlias = Literal["vllm", "rehearsal"]


@dataclass(frozen=True, slots=True)
class Canary:
    """The question and what an answer to it must hold.

    `words` are the words of the sentence, each with its accepted spellings; `words_needed` of them are enough.
    `clip_seconds` is the length of the clip. `max_tokens` bounds the answer with its thinking (the engine is not
    told: it refuses a bound beyond its context), `max_answer_characters` the answer alone, `timeout` (seconds)
    all of it.
    """

    sentence: str
    question: str
    words: tuple[tuple[str, ...], ...]
    words_needed: int
    max_tokens: int
    max_answer_characters: int
    timeout: float
    temperature: float
    clip: bytes = field(repr=False)
    clip_seconds: float


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """What became of the question.

    `heard` is None when nothing could be judged, `answer` is None when there was none; `why` has the reason for
    either and for a wrong answer. `seconds` from the question to the verdict.
    """

    asked: str
    answer: str | None
    heard: bool | None
    seconds: float
    why: str = ""


def load_canary() -> Canary:
    """The canary of the package: canary.yaml and canary.wav."""
    import yaml

    files = resources.files(__package__)
    said = yaml.safe_load(files.joinpath("canary.yaml").read_text("utf-8"))
    clip = files.joinpath("canary.wav").read_bytes()
    with wave.open(io.BytesIO(clip)) as sound:
        seconds = sound.getnframes() / sound.getframerate()
    return Canary(
        sentence=said["sentence"],
        question=said["question"],
        words=tuple(tuple(spellings) for spellings in said["words"]),
        words_needed=said["words_needed"],
        max_tokens=said["max_tokens"],
        max_answer_characters=said["max_answer_characters"],
        timeout=said["timeout"],
        temperature=said["temperature"],
        clip=clip,
        clip_seconds=seconds,
    )


def heard(canary: Canary, engine: Engine, text: str) -> bool:
    """Whether these words can only come from an engine that was given the clip.

    vLLM has to say enough of the sentence's words. The rehearsal engine measures instead of listening: it has
    to name the clip's length, as in `2.88 s`.
    """
    if engine == "rehearsal":
        return re.search(rf"(?<![\d.]){canary.clip_seconds:.2f} s\b", text) is not None
    return _words_said(canary, text) >= canary.words_needed


def ask_canary(
    canary: Canary, endpoint: str, model: str, *, engine: Engine, api_key: str | None = None
) -> CanaryResult:
    """Ask, and stop reading as soon as the answer is decided.

    Nothing that the engine does is raised: when it refuses, breaks off or takes longer than `canary.timeout`,
    `heard` is None and `why` has the reason.
    """
    recording = Recording("canary.wav", (Clip(canary.clip, canary.clip_seconds),))
    question = Question(
        endpoint,
        model,
        [user_message(canary.question, [recording])],
        api_key=api_key,
        temperature=canary.temperature,
        timeout=canary.timeout,
    )
    begun, events, trouble = time.monotonic(), [], ""
    try:
        with closing(stream(question)) as arriving:
            for event in until_decided(canary, engine, arriving):
                events.append(event)  # noqa: PERF402 - what arrived before an error counts
    except StepAudioError as error:
        trouble = f"{error.what} {error.why}".strip()
    return judge(canary, engine, events, seconds=time.monotonic() - begun, trouble=trouble)


def until_decided(canary: Canary, engine: Engine, events: Iterable[Event]) -> Iterator[Event]:
    """The events up to the one after which nothing can change the verdict, or a bound is reached.

    A piece is a token, as the engine streams it.
    """
    text = ""
    for pieces, event in enumerate(events, 1):
        yield event
        if isinstance(event, Text):
            text += event.text
            word_is_whole = not text[-1].isalnum()
            if word_is_whole and _says_all(canary, engine, text):
                return
        if pieces >= canary.max_tokens or len(text) >= canary.max_answer_characters:
            return


def judge(
    canary: Canary, engine: Engine, events: Sequence[Event], *, seconds: float, trouble: str = ""
) -> CanaryResult:
    """The verdict on what arrived, given what went wrong on the way, if anything did.

    The answer is judged; the thinking only where no answer followed it.
    """
    finish = next((event for event in events if isinstance(event, Finish)), Finish("length"))
    said = whole([*events, finish], seconds=seconds)
    verdict: bool | None
    if trouble:
        verdict, why = None, trouble
    elif said.text:
        verdict = heard(canary, engine, said.text)
        why = "" if verdict else f"The clip says: {canary.sentence}"
    else:
        verdict = heard(canary, engine, said.thinking)
        why = f"Only its thinking was judged: no answer followed ({finish.reason})."
    return CanaryResult(canary.question, said.text or None, verdict, seconds, why)


def _says_all(canary: Canary, engine: Engine, text: str) -> bool:
    return heard(replace(canary, words_needed=len(canary.words)), engine, text)


def _words_said(canary: Canary, text: str) -> int:
    said = _plain(text)
    return sum(any(_plain(spelling) in said for spelling in spellings) for spellings in canary.words)


def _plain(text: str) -> str:
    """Lower-case words with a blank on either side, whatever stood between them."""
    letters = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(["", *re.findall(r"[^\W_]+", letters), ""])
