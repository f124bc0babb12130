"""The conversation of `chat` at work: lines are done one after another, whoever types them."""

from __future__ import annotations

import json
import shlex
import sys
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..client.characters import well_formed
from ..client.fitting import AUDIO_TOKENS_A_SECOND
from ..client.session import (
    NEARLY_FULL,
    STOPPED,
    Session,
    Turn,
    answered,
    as_markdown,
    asked,
    context_used,
    messages,
    seconds_of_audio,
    to_json,
    without_last,
)
from ..errors import RefusedError, SettingsError
from .chat_line import COMMANDS, Attach, Command, Words, file_named
from .output import duration, notice, paint, prose, remark, row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ..audio.pcm import Samples
    from ..client.answer import Answer, Event
    from ..client.recording import Recording
    from ..client.wire import Question
    from .chat_line import Line

LONGEST_SECONDS = 3600
"""The longest sound that is read where the endpoint does not say how much its context holds."""


TAKEN_BACK = "the question is taken back, /retry asks it again"


@dataclass(slots=True)
class Chat:
    """What is said, attached and shown.

    `question` is asked with the conversation's messages in it; `show` streams an answer to the terminal, telling
    each event also to whom it is given. `context` is the endpoint's in tokens, None where it does not say.
    `asks` is how the command line asks the same endpoint.
    `attached` waits for the next question, `again` is what /retry asks, `told` is every turn that was answered.
    """

    question: Question
    show: Callable[[Question, Callable[[Event], object], bool], Answer]
    context: int | None
    hide_thinking: bool = False
    stoppable: bool = False
    asks: str = "stepaudio-serve ask"
    session: Session = field(default_factory=Session)
    attached: tuple[Recording, ...] = ()
    again: Turn | None = None
    told: list[Turn] = field(default_factory=list)

    def do(self, line: Line) -> bool:
        """Do what a line says; False where it ends the conversation.

        Raises:
            StepAudioError: it cannot be done, or the endpoint does not answer; the conversation is as before, and
            /retry asks a question again.
        """
        if isinstance(line, Words):
            self.say(line.text)
        elif isinstance(line, Attach):
            for path in line.paths:
                self.attach(path)
        elif line.name == "/bye":
            return False
        else:
            self._command(line)
        return True

    def attach(self, path: Path) -> None:
        """Attach a file's sound to the next question."""
        from ..client.recording import Recording
        from ..client.sound import open_sound, recorded, samples_of

        room = LONGEST_SECONDS if self.context is None else self.context / AUDIO_TOKENS_A_SECOND
        left = room - self._heard()
        damaged: list[float] = []
        blocks = samples_of(open_sound(path), on_damage=damaged.append)
        self._attach(Recording(path.name, recorded(_at_most(blocks, left, path, self.asks), name=str(path)).clips))
        if damaged:
            places = f"{len(damaged)} places, first at {damaged[0]:.1f} s"
            notice(f"{path.name} is damaged: what stood there is not heard ({places})", level="warning")

    def say(self, text: str) -> None:
        """Ask, with what is attached."""
        self._ask(Turn(text, self.attached))

    def _ask(self, turn: Turn, *, after: Session | None = None) -> None:
        """Ask a turn after a conversation, which is the present one if none is given."""
        before = self.session if after is None else after
        self._fits(before, turn)
        self.attached, self.again = (), turn
        asking = asked(before, turn)
        question = replace(self.question, messages=messages(asking))
        seen: list[Event] = []
        begun = time.monotonic()
        try:
            answer = self.show(question, seen.append, self.hide_thinking)
        except KeyboardInterrupt:
            if not self.stoppable:
                raise
            answer = _so_far(seen, time.monotonic() - begun)
        self.told.append(replace(turn, answer=answer))
        if answer.text:
            self.session = answered(asking, answer)
        self._report(answer)

    def _report(self, answer: Answer) -> None:
        """How the answer ended, what it took, and how full the context is."""
        if answer.notice:
            notice(answer.notice)
        if answer.finish_reason == STOPPED:
            kept = "what was said so far stays in the conversation" if answer.text else TAKEN_BACK
            notice(f"stopped; {kept}")
            return
        if answer.finish_reason == "length":
            kept = "" if answer.text else f"; {TAKEN_BACK}"
            notice(f"the answer was cut off: --max-tokens or the context is used up{kept}", level="warning")
        tokens = (answer.usage or {}).get("completion_tokens")
        used = context_used(self.session) if answer.text else None
        share = used / self.context if used is not None and self.context else None
        said = [duration(answer.seconds), f"{tokens} tokens" if tokens else ""]
        notice(", ".join([*filter(None, said), *([f"context {share:.0%} full"] if share is not None else [])]))
        if share is not None and share >= NEARLY_FULL:
            heard = seconds_of_audio(self.session)
            sounds = f", {duration(heard)} of sound among them" if heard else ""
            notice(
                f"the conversation takes {used:,} of the {self.context:,} tokens of the context{sounds}; nothing is"
                " dropped by itself",
                level="warning",
            )
            row("fix", "/clear    begins anew (/save FILE keeps a copy)", whole=True)

    def _fits(self, before: Session, turn: Turn) -> None:
        """Refuse what is sure not to fit. Raises RefusedError."""
        if self.context is None:
            return
        new = sum(recording.seconds for recording in turn.recordings) * AUDIO_TOKENS_A_SECOND
        used = context_used(before) or seconds_of_audio(before) * AUDIO_TOKENS_A_SECOND
        if used + new >= self.context:
            raise RefusedError(
                "the conversation is too long for another question",
                why=f"it takes {used:,.0f} tokens, the sound attached {new:,.0f}; the context is {self.context:,}",
                fix="/clear    begins anew (/save FILE keeps a copy)",
            )

    def _heard(self) -> float:
        return seconds_of_audio(self.session) + sum(recording.seconds for recording in self.attached)

    def _attach(self, recording: Recording) -> None:
        self.attached = (*self.attached, recording)
        notice(f"attached {recording.name}, {duration(recording.seconds)}")

    # ---- commands

    def _command(self, command: Command) -> None:
        doing = {
            "/audio": self._audio,
            "/mic": self._mic,
            "/task": self._task,
            "/system": self._system,
            "/thinking": self._thinking,
            "/retry": self._retry,
            "/clear": self._clear,
            "/save": self._save,
            "/help": self._help,
        }.get(command.name)
        if doing is None:
            import difflib

            close = difflib.get_close_matches(command.name, COMMANDS, n=1)
            fix = close[0] if close else "/help"
            raise SettingsError(f"{command.name} is neither a command nor a file", fix=fix)
        doing(command.argument)

    def _audio(self, argument: str) -> None:
        if not argument:
            raise SettingsError("which file?", fix="/audio FILE")
        self.attach(file_named(argument))

    def _mic(self, argument: str) -> None:
        from .listening import listen

        try:
            seconds = float(argument) if argument else None
        except ValueError:
            seconds = 0
        if seconds is not None and not seconds > 0:
            raise SettingsError(f"{argument} is no number of seconds", fix="/mic 10")
        try:
            self._attach(listen(seconds))
        except KeyboardInterrupt:
            if not self.stoppable:
                raise
            notice("the recording was dropped")

    def _task(self, argument: str) -> None:
        from ..client.tasks import all_tasks, load_task, prepare, task_names

        name, _, more = argument.partition(" ")
        if not name:
            _list({task.name: task.summary for task in all_tasks(on_wrong=remark)})
            return
        names = task_names()
        if name not in names:
            raise SettingsError(
                f"there is no task `{name}`", why="tasks are " + ", ".join(names), fix=f"/task {names[0]}"
            )
        prompt = prepare(load_task(name), more=more.strip()).prompt
        if not self._heard():
            raise SettingsError("there is no sound to ask about", fix="/audio FILE")
        self.say(prompt)

    def _system(self, argument: str) -> None:
        self.session = replace(self.session, system=argument)
        notice("the system prompt is set, from the next question on" if argument else "there is no system prompt")

    def _thinking(self, argument: str) -> None:
        if argument not in {"on", "off"}:
            raise SettingsError("/thinking is on or off", fix=f"/thinking {'on' if self.hide_thinking else 'off'}")
        self.hide_thinking = argument == "off"
        notice("the thinking is hidden" if self.hide_thinking else "the thinking is shown")

    def _retry(self, _argument: str) -> None:
        if self.again is None:
            raise SettingsError("nothing was asked yet")
        turns = self.session.turns
        answered_before = bool(turns) and replace(turns[-1], answer=None) == self.again
        self._ask(self.again, after=without_last(self.session) if answered_before else None)

    def _clear(self, _argument: str) -> None:
        self.session, self.attached, self.again = Session(self.session.system), (), None
        notice("the conversation begins anew" + ("; the system prompt stays" if self.session.system else ""))

    def _save(self, argument: str) -> None:
        if not argument:
            raise SettingsError("to which file?", fix="/save conversation.md")
        path = file_named(argument)
        if path.suffix == ".json":
            text = json.dumps(to_json(self.session), indent=2, ensure_ascii=False) + "\n"
        else:
            text = as_markdown(self.session)
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(well_formed(text))
        except FileExistsError as error:
            raise SettingsError(f"{path} is there already", why="nothing is written over", fix="/save FILE") from error
        except OSError as error:
            raise SettingsError(f"{path} cannot be written", why=error.strerror or str(error)) from error
        notice(f"saved as {path}")

    def _help(self, _argument: str) -> None:
        _list({f"{name} {argument}".strip(): text for name, (argument, text) in COMMANDS.items()})
        notice("a file's name alone, or a file dragged here, attaches it; all else is a question")
        notice("Alt-Enter: a new line. Ctrl-C: stop the answer. Ctrl-D: end")


def _list(entries: dict[str, str]) -> None:
    width = max(map(len, entries))
    indent = " " * (width + 4)
    for name, text in entries.items():
        sys.stderr.write(
            f"  {paint(name.ljust(width), 'bold', sys.stderr)}  {prose(text, sys.stderr, indent=indent)}\n"
        )


def _so_far(events: list[Event], seconds: float) -> Answer:
    """What was said of an answer until it was stopped, after so many seconds."""
    from ..client.answer import Finish, whole

    return whole([*events, Finish(STOPPED)], seconds=seconds)


def _at_most(blocks: Iterator[Samples], seconds: float, path: Path, asks: str) -> Iterator[Samples]:
    """The same, as long as it is no longer than `seconds`. Raises RefusedError where it is."""
    from ..audio.pcm import SAMPLE_RATE

    count = 0
    for block in blocks:
        count += len(block)
        if count > seconds * SAMPLE_RATE:
            raise RefusedError(
                f"{path.name} is too long for this conversation",
                why=f"its context has room for {duration(max(seconds, 0))} of sound more; `ask` takes any length",
                fix=f"{asks} {shlex.quote(str(path))}",
            )
        yield block
