"""`chat`: a conversation of several turns, at a terminal or by lines from standard input."""

from __future__ import annotations

import io
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from ..errors import StepAudioError
from .options import file_names
from .output import document, notice
from .selection import json_flag, name_flag
from .target import target_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..client.answer import Answer, Event
    from ..client.wire import Question
    from .chat_turns import Chat
    from .target import Target


@click.command("chat")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...", shell_complete=file_names)
@name_flag("name")
@click.option("--endpoint", metavar="URL", help="Talk to this endpoint instead of a deployment.")
@click.option("--model", metavar="NAME", help="Model name, with --endpoint [default: Step-Audio-R1]")
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Most tokens of thinking and answer.")
@click.option("--temperature", type=click.FloatRange(min=0, max=2), metavar="T", help="0 for the likeliest words.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="For each answer.")
@click.option("--hide-thinking", is_flag=True, help="Show the answers only.")
@json_flag
def command(files: tuple[Path, ...], **flags: Any) -> int:
    """Talk about sounds, turn by turn; FILEs are attached to the first question.

    At a terminal, a question, a file's name or a command such as /mic is typed; /help lists the commands. Without
    a terminal, or with --json, each line of standard input is one of them, and the first failure ends it.
    """
    from .chat_turns import Chat

    as_json = flags["as_json"]
    interactive = sys.stdin.isatty() and sys.stdout.isatty() and not as_json
    target = target_of(flags)
    with target.named_in_fixes():
        context = target.context()
    chat = Chat(
        question=target.question,
        show=partial(_silently if as_json else _shown, target),
        context=context,
        hide_thinking=flags["hide_thinking"],
        stoppable=interactive,
        asks=shlex.join(["stepaudio-serve", "ask", *_where(target, flags)]),
    )
    if interactive:
        return _at_terminal(chat, files)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # a file's name may be in any encoding
    return _by_lines(chat, files, sys.stdin, as_json=as_json)


def _where(target: Target, flags: dict[str, Any]) -> list[str]:
    """The flags that ask the same endpoint."""
    if target.deployment:
        return ["--name", target.deployment]
    model = ["--model", flags["model"]] if flags["model"] else []
    return ["--endpoint", flags["endpoint"], *model]


def _at_terminal(chat: Chat, files: tuple[Path, ...]) -> int:
    from ..facts.host import folders
    from .chat_terminal import converse

    for path in files:
        chat.attach(path)
    notice(f"{chat.question.model} at {chat.question.address}; /help lists the commands, Ctrl-D ends")
    converse(chat, history=folders().state / "chat-history")
    return 0


def _by_lines(chat: Chat, files: tuple[Path, ...], lines: TextIO, *, as_json: bool) -> int:
    """Do one line after another; the exit code."""
    from .chat_line import understand
    from .errors import report

    failure: StepAudioError | None = None
    try:
        for path in files:
            chat.attach(path)
        for text in lines:
            line = understand(text)
            if line is not None and not chat.do(line):
                break
    except StepAudioError as error:
        failure = error
    code = report(failure, as_json=False) if failure else 0
    if chat.attached:
        notice("nothing was asked about " + ", ".join(it.name for it in chat.attached), level="warning")
    if as_json:
        turns = [turn.to_json() for turn in chat.told]
        said = failure and {name: getattr(failure, name) for name in ("code", "what", "why", "fix")}
        document({"turns": turns, **({"error": said} if said else {})})
    return code


def _shown(target: Target, question: Question, on_event: Callable[[Event], object], hide_thinking: bool) -> Answer:
    from ..client.stream import ask
    from .answering import Answering

    with target.named_in_fixes(), Answering(hide_thinking=hide_thinking) as answering:

        def show(event: Event) -> None:
            on_event(event)
            answering.show(event)

        answer = ask(question, on_event=show)
        answering.complete(answer)
    return answer


def _silently(target: Target, question: Question, on_event: Callable[[Event], object], _hide_thinking: bool) -> Answer:
    from ..client.stream import ask

    with target.named_in_fixes():
        return ask(question, on_event=on_event)
