"""`ask`: a question about a sound, answered as it streams."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from ..errors import SettingsError, StepAudioError
from .options import file_names
from .output import document, duration, notice, paint, row
from .selection import json_flag, name_flag, only_settings, selected_name

if TYPE_CHECKING:
    from ..client.answer import Answer, Event
    from ..client.wire import Question
    from ..settings.sources import Resolved

FORMATS = {"wav": "a WAV without PCM samples", "mp3": "an MP3", "flac": "a FLAC", "ogg": "an OGG"}
DEFAULT_PROMPT = "What do you hear?"
AUDIO_ENDINGS = {".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".webm", ".mp4", ".aac"}


@click.command("ask")
@click.argument("words", nargs=-1, required=True, metavar="AUDIO... [PROMPT]", shell_complete=file_names)
@name_flag("name")
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

    Takes WAV, MP3, FLAC and OGG files, told by their bytes, whatever their names say. An endpoint on another
    machine gets the key of STEPAUDIO_API_KEY or STEPAUDIO_API_KEY_FILE only, not that of a file of settings.
    """
    from ..client.conversation import user_message
    from ..client.recording import as_wav, read_recording, unmeasured
    from ..client.stream import ask
    from ..client.wire import Question
    from ..lifecycle.api_key import key_of
    from ..runtime.choose import locate

    paths, prompt = split_words(words)
    recordings = [read_recording(path) for path in paths]
    for recording in unmeasured(recordings):
        notice(
            f"{recording.name} is {FORMATS[recording.format]}, whose length is not checked;"
            " the released engine dies of clips over 29.98 s"
        )
        row("fix", as_wav(recording.name), whole=True)
    resolved = only_settings("api_key", "api_key_file", "served_model_name")
    settings = resolved.settings
    if endpoint:
        target, served = endpoint, model or settings.served_model_name
        key = key_of(settings) if may_have_key(endpoint, resolved) else None
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
    try:
        answer = ask(question) if as_json else _stream(question, hide_thinking=hide_thinking)
    except StepAudioError as error:
        if not endpoint and error.fix.startswith("stepaudio-serve "):  # a library's question knows no deployment
            error.fix += f" {deployment.name}"
        raise
    if as_json:
        document(asdict(answer))
        return 0
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
    paths = [Path(word) for word in words if _is_file(word)]
    others = [word for word in words if not _is_file(word)]
    missing = [word for word in others if Path(word).suffix.lower() in AUDIO_ENDINGS]
    if missing:
        raise SettingsError(f"there is no file {missing[0]}", why=f"not in {Path(missing[0]).parent.absolute()}")
    if len(others) > 1:
        raise SettingsError(
            f"{others[0]!r} is no file, and {others[-1]!r} is taken as the question",
            why="one question at the end is expected",
            fix='stepaudio-serve ask FILE... "the whole question in quotes"',
        )
    if not paths:
        raise SettingsError("no sound was given", fix=f'stepaudio-serve ask FILE "{others[0]}"')
    return paths, others[0] if others else DEFAULT_PROMPT


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except OSError:  # a question longer than a file's name may be
        return False


def may_have_key(endpoint: str, resolved: Resolved) -> bool:
    """Whether an endpoint that was named gets the key of the settings.

    One on this machine does. Any other gets a key of the environment, which was set for this command; a file's
    key is for the deployments of this machine.
    """
    from ..client.wire import chat_url, is_this_machine

    host = chat_url(endpoint).host
    origins = [resolved.origins[name] for name in ("api_key", "api_key_file")]
    if is_this_machine(host) or any(origin.source == "environment" for origin in origins):
        return True
    for origin in origins:
        if origin.source != "default":
            notice(f"the key of {origin.place} is not sent to {host}; STEPAUDIO_API_KEY_FILE=FILE sends one")
    return False


def _stream(question: Question, *, hide_thinking: bool) -> Answer:
    from ..client.answer import Text, Thinking
    from ..client.stream import ask

    thinking, text = Words(sys.stderr), Words(sys.stdout)

    def show(event: Event) -> None:
        if isinstance(event, Thinking) and not hide_thinking:
            thinking.write(event.text, "dim")
        elif isinstance(event, Text):
            thinking.end("\n\n")
            text.write(event.text)

    try:
        answer = ask(question, on_event=show)
        if not text.last:  # the thinking never ended: all words are the answer
            thinking.end("\n")
            text.write(answer.text)
    finally:  # whatever comes next, an error too, begins on its own line
        thinking.end("\n")
        text.end("\n")
    return answer


@dataclass(slots=True)
class Words:
    """Words as they arrive on a stream; `last` are the two characters that they end with until they are ended."""

    stream: TextIO
    last: str = ""

    def write(self, text: str, style: str = "") -> None:
        """Show them at once."""
        self.stream.write(paint(text, style, self.stream) if style else text)
        self.stream.flush()
        self.last = (self.last + text)[-2:]

    def end(self, ending: str) -> None:
        """End them, if there are any, with these line breaks, of which they may have some already."""
        if self.last and not self.last.endswith(ending):
            there = len(self.last) - len(self.last.rstrip("\n"))
            self.write(ending[there:])
