"""Asking about sounds of any length: in one request where they fit, else part by part.

Nothing here prints: a `Listener` is told what happens.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import SettingsError, StepAudioError, UnhealthyError
from .answer import Answer, Text
from .concurrently import in_order
from .connection import TooMuchError
from .conversation import user_message
from .fitting import ASSUMED_CONTEXT, answer_room, packed, seconds_that_fit, text_tokens
from .pieces import Piece, Told, apart, in_words, spliced, stamp
from .sound import recorded
from .stream import ask
from .taken import taken
from .windows import SHORTEST_WINDOW_SECONDS, expected_count, halves, windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .answer import Event
    from .conversation import Message
    from .sound import Sound
    from .taken import Stream
    from .tasks import Asked
    from .windows import Window
    from .wire import Question

TRIES = 3
"""How often a part is asked when the endpoint breaks off: hours of audio should not be lost to one bad moment."""

MOST_ROUNDS = 6
"""How often texts are made fewer, by half at least where they are no longer than they should be."""

FIRST_PAUSE_SECONDS = 2.0
"""Before the second try; doubled before each further one."""


class Listener:
    """Told what happens; does nothing with it. Calls may come from several threads."""

    def notice(self, text: str) -> None:
        """Something the user should know."""

    def parts(self, count: int | None, seconds: float | None, context: int) -> None:
        """So many seconds do not fit the context: so many parts are asked about. None where the length is not known."""

    def part_begins(self, number: int, start: float, end: float) -> None:
        """A part is sent; numbers count from 1, times are in seconds."""

    def part_ends(self) -> None:
        """A part is answered."""

    def piece(self, piece: Piece) -> None:
        """What was heard in a part, in its final form, in order; not where it only goes into a summary."""

    def joining(self, texts: int) -> None:
        """The answers about so many parts are made one."""

    def event(self, event: Event) -> None:
        """The answer streams: the only one, or the one made of the parts' answers."""

    def may_begin_anew(self) -> bool:
        """Whether an answer that broke off may stream from its beginning again."""
        return True

    def left(self, heard: Heard) -> None:
        """What there is when it cannot go on, before the error is raised; its `finish_reason` is `broken_off`."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of it. `answer` adds all requests up: its `thinking` has that of all parts, its `usage` all tokens.

    `pieces` has one piece where it was one request. `requests` counts those that were answered.
    """

    answer: Answer
    pieces: tuple[Piece, ...]
    audio_seconds: float
    requests: int
    context: int

    def to_json(self) -> dict[str, Any]:
        """The document of `ask --json`."""
        answer = self.answer
        return {
            "text": answer.text,
            "thinking": answer.thinking,
            "finish_reason": answer.finish_reason,
            "usage": answer.usage,
            "seconds": round(answer.seconds, 3),
            "timings": {
                "first_token_s": None if answer.first_token_s is None else round(answer.first_token_s, 3),
                "total_s": round(answer.seconds, 3),
            },
            "audio_seconds": round(self.audio_seconds, 2),
            "requests": self.requests,
            "context_tokens": self.context,
            "notice": answer.notice,
            "pieces": [piece.to_json() for piece in self.pieces],
        }


def as_document(results: Sequence[tuple[str, Heard]]) -> dict[str, Any]:
    """The JSON document about several sounds heard one by one, each under its name; about one it is that one's."""
    (name, first), *others = results
    if not others:
        return {"sound": name, **first.to_json()}
    text = "\n\n".join(f"## {name}\n\n{heard.answer.text}" for name, heard in results)
    seconds = sum(heard.answer.seconds for _, heard in results)
    together = Heard(
        answer=added_up([heard.answer for _, heard in results], text, seconds),
        pieces=tuple(piece for _, heard in results for piece in heard.pieces),
        audio_seconds=sum(heard.audio_seconds for _, heard in results),
        requests=sum(heard.requests for _, heard in results),
        context=first.context,
    )
    return {**together.to_json(), "results": as_results(results)}


def as_results(results: Sequence[tuple[str, Heard]]) -> list[dict[str, Any]]:
    """The documents about several sounds, each by itself."""
    return [{"sound": name, **heard.to_json()} for name, heard in results]


def listen(
    sounds: Sequence[Sound],
    asked: Asked,
    question: Question,
    *,
    context: int | None = None,
    longest: float | None = None,
    jobs: int = 1,
    listener: Listener | None = None,
) -> Heard:
    """Ask about the sounds, together.

    `question` names whom to ask, and how; its messages do not count. `context` is the endpoint's, in tokens, None
    where it does not say. `longest` bounds what is sent at a time, in seconds; `jobs` how many parts are asked about
    at a time.

    Raises `SettingsError` for a sound that cannot be decoded, and what `ask` raises.
    """
    return _Listening(asked, question, context, longest, jobs, listener or Listener()).to(sounds)


@dataclass(slots=True)
class _Listening:
    asked: Asked
    question: Question
    said_context: int | None
    longest: float | None
    jobs: int
    listener: Listener
    begun: float = 0.0
    failure: StepAudioError | KeyboardInterrupt | None = None
    damage: dict[str, list[float]] = field(default_factory=dict)

    @property
    def context(self) -> int:
        return self.said_context or ASSUMED_CONTEXT

    def to(self, sounds: Sequence[Sound]) -> Heard:
        self.begun = time.monotonic()
        try:
            return self._heard(sounds)
        finally:
            for name, places in self.damage.items():
                self.listener.notice(f"{name} is damaged {_places(places)}: what stood there is not heard")

    def _heard(self, sounds: Sequence[Sound]) -> Heard:
        fits = self._fits(self.asked.prompt)
        streams, whole = taken(sounds, fits, self._damaged)
        if whole:
            try:
                return self._at_once(sounds, streams)
            except TooMuchError as error:
                seconds = sum(stream.held_seconds() for stream in streams)
                if len(sounds) == 1 and seconds <= SHORTEST_WINDOW_SECONDS:
                    raise
                self.listener.notice(f"{error.why or error.what} So it is asked in parts.")
                fits = max(SHORTEST_WINDOW_SECONDS, min(fits, seconds) / 2)
        return self._in_parts(sounds, streams, fits)

    def _fits(self, prompt: str) -> float:
        fits = seconds_that_fit(
            self.context,
            prompt,
            max_tokens=self.question.max_tokens,
            answer_tokens_per_second=self.asked.task.answer_tokens_per_second,
        )
        return min(fits, self.longest or fits)

    def _damaged(self, sound: Sound, second: float) -> None:
        self.damage.setdefault(sound.name, []).append(second)

    def _at_once(self, sounds: Sequence[Sound], streams: Sequence[Stream]) -> Heard:
        recordings = [recorded(stream.held, name=sound.name) for sound, stream in zip(sounds, streams, strict=True)]
        message = user_message(self.asked.prompt, recordings)
        answer = self._shown(message)
        seconds = sum(recording.seconds for recording in recordings)
        names = ", ".join(sound.name for sound in sounds)
        return Heard(answer, (Piece(names, 0.0, seconds, answer.text),), seconds, 1, self.context)

    def _in_parts(self, sounds: Sequence[Sound], streams: Sequence[Stream], fits: float) -> Heard:
        task = self.asked.task
        each = min(fits, self._fits(self.asked.part), task.window_seconds or fits)
        lengths = [sound.seconds for sound in sounds]
        known = [length for length in lengths if length is not None]
        total = sum(known) if len(known) == len(lengths) else None
        self.listener.parts(
            None if total is None else sum(expected_count(length, each) for length in known), total, self.context
        )
        if self.said_context is None:
            self.listener.notice(f"the endpoint does not say its context: {self.context} tokens are assumed")
        answers: list[Answer] = []
        pieces: list[Piece] = []
        told = self._until_failure(self._told(_windows(sounds, streams, each), answers))
        for piece in spliced(told) if task.join == "transcript" else apart(told):
            pieces.append(piece)
            if task.join != "summary":
                self.listener.piece(piece)
        named = len(sounds) > 1
        listed = "\n\n".join(filter(None, (in_words(piece, named=named) for piece in pieces)))
        if self.failure is None:
            try:
                return self._together(self._joined(listed, pieces, answers, named=named), pieces, answers)
            except (StepAudioError, KeyboardInterrupt) as error:
                self.failure = error
        if pieces:
            heard = self._together(listed, pieces, answers)
            self.listener.left(replace(heard, answer=replace(heard.answer, finish_reason="broken_off")))
        raise self.failure

    def _together(self, text: str, pieces: Sequence[Piece], answers: Sequence[Answer]) -> Heard:
        ends: dict[str, float] = {}
        for piece in pieces:
            ends[piece.sound] = max(piece.end, ends.get(piece.sound, 0.0))
        answer = added_up(answers, text, time.monotonic() - self.begun)
        return Heard(answer, tuple(pieces), sum(ends.values()), len(answers), self.context)

    def _joined(self, listed: str, pieces: Sequence[Piece], answers: list[Answer], *, named: bool) -> str:
        task = self.asked.task
        if task.join == "transcript":
            return listed
        texts = [text for text in (in_words(piece, named=named) for piece in pieces) if text]
        if not texts:
            if any(answer.text for answer in answers):
                return task.nothing
            raise _unanswered()
        final = self._made_one(texts, answers)
        return final.text if task.join == "summary" else f"{listed}\n\n{final.text}"

    def _until_failure(self, told: Iterable[Told]) -> Iterator[Told]:
        """As many as come; why there are no more stands in `failure`."""
        try:
            yield from told
        except (StepAudioError, KeyboardInterrupt) as error:
            self.failure = error

    def _told(self, parts: Iterable[tuple[Sound, Window]], answers: list[Answer]) -> Iterator[Told]:
        """The answers about the parts in their order, which are also added to `answers`."""
        for several in in_order(self.jobs, self._asked_part, self._counted(parts)):
            for told, answer in several:
                answers.append(answer)
                self.listener.part_ends()
                yield told

    def _counted(self, parts: Iterable[tuple[Sound, Window]]) -> Iterator[tuple[Sound, Window]]:
        for number, (sound, window) in enumerate(parts, 1):
            self.listener.part_begins(number, window.start, window.end)
            yield sound, window

    def _asked_part(self, part: tuple[Sound, Window]) -> list[tuple[Told, Answer]]:
        """The answer about a part; several where it had to be cut further."""
        sound, window = part
        message = user_message(self.asked.part, [recorded(window.blocks(), name=sound.name)])
        question = replace(self.question, messages=[message])
        place = f"{sound.name} {stamp(window.start)} to {stamp(window.end)}"
        smaller = halves(window)
        try:
            answer = self._persistently(question, place)
        except TooMuchError as error:
            if len(smaller) == 1:
                seconds = f"{window.end - window.start:.0f} s"
                error.why = f"{place}: {seconds} are too much already, and parts are not made shorter. {error.why}"
                raise
            return [pair for half in smaller for pair in self._asked_part((sound, half))]
        if answer.finish_reason == "length":
            if self.asked.task.join == "transcript" and len(smaller) > 1:
                self.listener.notice(f"{place}: the answer was cut off, so the part is asked about in {len(smaller)}")
                return [pair for half in smaller for pair in self._asked_part((sound, half))]
            self.listener.notice(f"{place}: the answer was cut off, words may be missing")
        nothing = self.asked.task.nothing
        text = "" if nothing and answer.text.strip() == nothing else answer.text
        told = Told(sound.name, window.start, window.end, text, window.overlap, window.silent_overlap)
        return [(told, answer)]

    def _persistently(
        self, question: Question, what: str, tries: int = TRIES, *, on_event: Callable[[Event], object] | None = None
    ) -> Answer:
        try:
            return ask(question, on_event=on_event)
        except UnhealthyError as error:
            if tries == 1 or (on_event is not None and not self.listener.may_begin_anew()):
                raise
            pause = FIRST_PAUSE_SECONDS * 2 ** (TRIES - tries)
            self.listener.notice(f"{what}: {error.what} Asked again in {pause:g} s.")
            time.sleep(pause)
        return self._persistently(question, what, tries - 1, on_event=on_event)

    def _made_one(self, texts: list[str], answers: list[Answer]) -> Answer:
        """One answer made of the parts' answers; of answers to them first where they are too many for a request."""
        whole = self.asked.whole
        room = self.context - answer_room(self.context, self.question.max_tokens) - text_tokens(whole) - 64
        for _ in range(MOST_ROUNDS):
            groups = packed(texts, text_tokens, room)
            self.listener.joining(len(texts))
            if len(groups) <= 1:
                answer = self._shown(self._about(texts), tries=TRIES)
                answers.append(answer)
                return answer
            questions = [replace(self.question, messages=[self._about(group)]) for group in groups]
            made = list(in_order(self.jobs, partial(self._persistently, what="the answers so far"), questions))
            answers += made
            texts = [answer.text for answer in made if answer.text]
            if not texts:
                raise _unanswered()
        raise SettingsError(
            "the answers about the parts are too long to be made one",
            why=f"{len(texts)} texts are left after {MOST_ROUNDS} rounds; the context holds {self.context} tokens",
            fix="--max-tokens 2048, or ask for a shorter answer",
        )

    def _about(self, texts: list[str]) -> Message:
        return user_message("\n\n".join([*texts, self.asked.whole]))

    def _shown(self, message: Message, *, tries: int = 1) -> Answer:
        """The answer to a message, streamed to the listener."""
        seen: list[Event] = []

        def show(event: Event) -> None:
            if isinstance(event, Text):
                seen.append(event)
            self.listener.event(event)

        question = replace(self.question, messages=[message])
        answer = self._persistently(question, "the answers so far", tries, on_event=show)
        if answer.text and not seen:  # the thinking never ended: all its words are the answer
            self.listener.event(Text(answer.text))
        return answer


def _windows(sounds: Sequence[Sound], streams: Sequence[Stream], seconds: float) -> Iterator[tuple[Sound, Window]]:
    for sound, stream in zip(sounds, streams, strict=True):
        for window in windows(stream.blocks(), seconds=seconds):
            yield sound, window


def _unanswered() -> UnhealthyError:
    return UnhealthyError(
        "no part was answered",
        why="each answer ended within its thinking, so there is nothing to make one answer of",
        fix="a larger --max-tokens, or --window 60",
    )


def _places(seconds: Sequence[float]) -> str:
    """Where it is damaged, in a few words however many places there are."""
    if len(seconds) == 1:
        return f"at {stamp(seconds[0])}"
    return f"at {len(seconds)} places from {stamp(min(seconds))} to {stamp(max(seconds))}"


def added_up(answers: Sequence[Answer], text: str, seconds: float) -> Answer:
    """The answers as one: all thinking, all tokens; cut off if any of them was."""
    cut_off = next((answer.finish_reason for answer in answers if answer.finish_reason != "stop"), "stop")
    counts: dict[str, object] = {}
    for answer in answers:
        for name, count in (answer.usage or {}).items():
            before = counts.get(name, 0)
            if isinstance(count, int) and isinstance(before, int):
                counts[name] = before + count
    return Answer(
        text=text,
        thinking="\n\n".join(filter(None, (answer.thinking for answer in answers))),
        finish_reason=cut_off,
        usage=counts or None,
        seconds=seconds,
        first_token_s=answers[0].first_token_s,
        notice=next((answer.notice for answer in answers if answer.notice), ""),
    )
