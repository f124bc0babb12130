"""`chat` at a terminal: a line with history and completion, and what Ctrl-C and Ctrl-D mean."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings

from ..errors import StepAudioError
from .chat_line import COMMANDS, understand
from .chat_turns import TAKEN_BACK
from .errors import report
from .output import notice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import FrameType

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.key_binding import KeyPressEvent

    from .chat_turns import Chat

OF_FILES = {"/audio", "/save"}


def converse(chat: Chat, *, history: Path) -> None:
    """Do what is typed until it is ended. What cannot be done is said, and the conversation goes on.

    Raises:
        KeyboardInterrupt: the program was told to end, or its terminal was closed.
    """
    prompt: PromptSession[str] = PromptSession(
        history=FileHistory(str(private(history))),
        completer=Lines(),
        complete_while_typing=False,
        multiline=True,
        prompt_continuation="... ",
        key_bindings=_keys(),
        enable_open_in_editor=False,
    )
    interrupted = False
    with _told_to_end(prompt) as told:
        while True:
            try:
                text = prompt.prompt(_mark(chat))
            except EOFError:
                return
            except KeyboardInterrupt:
                empty = not prompt.default_buffer.text
                prompt.default_buffer.reset()  # so that a signal before the next prompt counts as at an empty one
                if told or (empty and interrupted):
                    break
                if empty:
                    notice("Ctrl-C again or Ctrl-D ends the conversation")
                interrupted = empty
                continue
            interrupted = False
            if not _do(chat, text):
                return
            if told:
                break
    if told:
        raise KeyboardInterrupt


def private(file: Path) -> Path:
    """The file, there and for this user's eyes only."""
    file.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
    file.chmod(0o600)
    return file


class Lines(Completer):
    """Completes commands, what stands after them, and files."""

    def __init__(self) -> None:
        self._files = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What the text before the cursor may become."""
        text = document.text_before_cursor
        name, blank, argument = text.partition(" ")
        if name in OF_FILES and blank:
            yield from self._paths(argument.lstrip(), complete_event)
        elif blank and name in COMMANDS:
            yield from (_word(it, argument) for it in _choices(name) if it.startswith(argument))
        elif not blank and text.startswith("/") and (found := [it for it in COMMANDS if it.startswith(text)]):
            yield from (_word(it, text) for it in found)
        elif text.startswith(("/", "./", "../", "~")):
            yield from self._paths(text, complete_event)

    def _paths(self, text: str, event: CompleteEvent) -> Iterable[Completion]:
        return self._files.get_completions(Document(text), event)


def _word(word: str, typed: str) -> Completion:
    return Completion(word, start_position=-len(typed))


def _choices(name: str) -> list[str]:
    if name == "/thinking":
        return ["on", "off"]
    if name == "/task":
        from ..client.tasks import task_names

        return task_names()
    return []


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


def _mark(chat: Chat) -> str:
    count = len(chat.attached)
    return f"{count} sound{'s' if count > 1 else ''} >>> " if count else ">>> "


def _do(chat: Chat, text: str) -> bool:
    before = chat.again
    try:
        line = understand(text)
        return line is None or chat.do(line)
    except KeyboardInterrupt:  # during anything but an answer or a recording
        notice("stopped")
    except StepAudioError as error:
        report(error, as_json=False)
        if chat.again is not before:
            notice(TAKEN_BACK)
    return True


@contextmanager
def _told_to_end(prompt: PromptSession[str]) -> Iterator[list[int]]:
    """Signals that end the program, not only what it does now: SIGTERM, and SIGHUP of a terminal that was closed.

    A prompt is left in its own way, which gives the terminal back as it was.
    """
    came: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        app = prompt.app
        if not app.is_running or app.loop is None:
            raise KeyboardInterrupt
        app.loop.call_soon_threadsafe(lambda: app.exit(exception=KeyboardInterrupt()))

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
