"""`ask`: a question about a sound, answered as it streams."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import SettingsError
from .options import settings_from
from .output import document, duration, notice, paint
from .selection import json_flag, selected_name

if TYPE_CHECKING:
    from ..client.answer import Answer, Event
    from ..client.wire import Question

DEFAULT_PROMPT = "What do you hear?"
AUDIO_ENDINGS = {".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".webm", ".mp4", ".aac"}


@click.command("ask", short_help="Ask a question about a sound.")
@click.argument("words", nargs=-1, required=True, metavar="AUDIO... [PROMPT]")
@click.option("--name", metavar="NAME", help="Name of the deployment.")
@click.option("--endpoint", metavar="URL", help="Ask this endpoint instead of a deployment.")
@click.option("--model", metavar="NAME", help="Model name, with --endpoint [default: Step-Audio-R1]")
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Most tokens of thinking and answer.")
@click.option("--temperature", type=click.FloatRange(min=0, max=2), metavar="T", help="0 for the likeliest words.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="For the whole answer.")
@click.option("--hide-thinking", is_flag=True, help="Show the answer only.")
@json_flag
def command(  # noqa: PLR0913 - one parameter a flag
    words: tuple[str, ...],
    *,
    name: str | None,
    endpoint: str | None,
    model: str | None,
    max_tokens: int | None,
    temperature: float | None,
    timeout: float | None,
    hide_thinking: bool,
    as_json: bool,
) -> int:
    """Ask a question about one or several sounds; the thinking is shown dimmed, then the answer.

    Takes WAV, MP3, FLAC and OGG files, told by their bytes, whatever their names say.
    """
    from ..client.conversation import user_message
    from ..client.recording import read_recording, unmeasured
    from ..client.stream import ask
    from ..client.wire import Question
    from ..lifecycle.api_key import key_of
    from ..runtime.choose import locate

    paths, prompt = split_words(words)
    recordings = [read_recording(path) for path in paths]
    for recording in unmeasured(recordings):
        notice(f"{recording.name}: its length is not checked; the released engine dies of clips over 29.98 s")
    settings = settings_from({}).settings
    if endpoint:
        target, served, key = endpoint, model or settings.served_model_name, key_of(settings)
    else:
        _, deployment = locate(selected_name(name, None))
        target, served, key = deployment.endpoint, deployment.model, key_of(settings, deployment)
    question = Question(
        endpoint=target,
        model=served,
        messages=[user_message(prompt, recordings)],
        api_key=key,
        max_tokens=max_tokens,
        temperature=temperature,
        timeout=timeout,
    )
    if as_json:
        document(asdict(ask(question)))
        return 0
    answer = _stream(question, hide_thinking=hide_thinking)
    if answer.finish_reason == "length":
        notice("the answer was cut off: --max-tokens or the context is used up", level="warning")
    tokens = (answer.usage or {}).get("completion_tokens")
    notice(f"{duration(answer.seconds)}{f', {tokens} tokens' if tokens else ''}")
    return 0


def split_words(words: tuple[str, ...]) -> tuple[list[Path], str]:
    """Files first, then at most one prompt.

    Raises:
        SettingsError: a file does not exist, or there are two prompts.
    """
    paths = [Path(word) for word in words if Path(word).is_file()]
    others = [word for word in words if not Path(word).is_file()]
    missing = [word for word in others if Path(word).suffix.lower() in AUDIO_ENDINGS]
    if missing:
        raise SettingsError(f"there is no file {missing[0]}", fix=f"ls -l {Path(missing[0]).parent}")
    if len(others) > 1:
        raise SettingsError(
            f"{others[0]!r} is no file, and {others[-1]!r} is taken as the question",
            why="one question at the end is expected",
            fix='stepaudio-serve ask FILE... "the whole question in quotes"',
        )
    if not paths:
        raise SettingsError("no sound was given", fix=f'stepaudio-serve ask FILE "{others[0]}"')
    return paths, others[0] if others else DEFAULT_PROMPT


def _stream(question: Question, *, hide_thinking: bool) -> Answer:
    from ..client.answer import Text, Thinking
    from ..client.stream import ask

    shown: list[type[Event]] = []

    def show(event: Event) -> None:
        if isinstance(event, Thinking) and not hide_thinking:
            sys.stderr.write(paint(event.text, "dim", sys.stderr))
            sys.stderr.flush()
        elif isinstance(event, Text):
            if Thinking in shown and Text not in shown and not hide_thinking:
                sys.stderr.write("\n\n")
                sys.stderr.flush()
            sys.stdout.write(event.text)
            sys.stdout.flush()
        shown.append(type(event))

    answer = ask(question, on_event=show)
    if Text not in shown:  # the thinking never ended: all words are the answer
        sys.stdout.write(answer.text)
    sys.stdout.write("\n")
    sys.stdout.flush()
    return answer
