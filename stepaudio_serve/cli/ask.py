"""`ask`: a question about sounds, answered as it streams."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import SettingsError, StepAudioError, UnhealthyError
from .options import file_names
from .output import document, notice
from .selection import json_flag, name_flag
from .target import target_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.shell_completion import CompletionItem

    from ..client.listen import Heard
    from ..client.sound import Sound
    from ..client.tasks import Asked

DEFAULT_PROMPT = "What do you hear?"
AUDIO_ENDINGS = {".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".webm", ".mp4", ".aac", ".mkv", ".mov", ".wma"}


def _task_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem | str]:
    from ..client.tasks import task_names

    return [name for name in task_names() if name.startswith(incomplete)]


@click.command("ask")
@click.argument("words", nargs=-1, required=False, metavar="AUDIO... [PROMPT]", shell_complete=file_names)
@click.option("--task", "task_name", metavar="TASK", shell_complete=_task_names, help="What to do; `help` lists them.")
@click.option("--language", metavar="LANGUAGE", help="The language that is spoken, as in German.")
@click.option("--to", metavar="LANGUAGE", help="The language to translate into, with --task translate.")
@click.option(
    "--mic",
    is_flag=False,
    flag_value=0.0,
    type=click.FloatRange(min=0),
    metavar="[SECONDS]",
    help="Record from the microphone, until Enter if no length is given.",
)
@name_flag("name")
@click.option("--endpoint", metavar="URL", help="Ask this endpoint instead of a deployment.")
@click.option("--model", metavar="NAME", help="Model name, with --endpoint [default: Step-Audio-R1]")
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Most tokens of thinking and answer.")
@click.option("--temperature", type=click.FloatRange(min=0, max=2), metavar="T", help="0 for the likeliest words.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="For each answer.")
@click.option("--window", type=click.FloatRange(60, 1200), metavar="SECONDS", help="Most audio to send at a time.")
@click.option("--jobs", type=click.IntRange(1, 64), default=1, metavar="N", help="Parts or files asked about at once.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="PATH", help="A file for the answer, or a folder."
)
@click.option("--force", is_flag=True, help="Write over results that are there.")
@click.option("--hide-thinking", is_flag=True, help="Show the answer only.")
@click.option("--raw", is_flag=True, help="Leave Markdown as it is on a terminal too.")
@json_flag
def command(words: tuple[str, ...], *, task_name: str | None, **flags: Any) -> int:
    """Ask a question about sounds, or do a task with them; the thinking is shown dimmed, then the answer.

    Takes any file with sound in it, told by its bytes; `-` is standard input. Audio that is longer than the context
    is heard in parts, whose answers are made one. With --task each file is heard by itself, without it all together.
    A folder (with -o FOLDER) is heard file by file; the same command again goes on where it was interrupted.

    An endpoint on another machine gets the key of STEPAUDIO_API_KEY or STEPAUDIO_API_KEY_FILE only, not that of a
    file of settings.
    """
    if task_name == "help":
        return _list_tasks(as_json=flags["as_json"])
    paths, prompt = split_words(words, has_task=task_name is not None, has_microphone=flags["mic"] is not None)
    asked = _asked(task_name, prompt, flags["language"], flags["to"])
    folder = next((path for path in paths if path.is_dir()), None)
    if folder is not None:
        if len(paths) > 1 or flags["mic"] is not None:
            raise SettingsError("one folder, or files: not both", fix=f"stepaudio-serve ask {folder} -o RESULTS")
        from .ask_folder import ask_folder

        target = target_of(flags)
        with target.named_in_fixes():
            return ask_folder(folder, asked, target, target.context(), flags)
    return _ask(paths, asked, flags)


def _ask(paths: Sequence[Path], asked: Asked, flags: dict[str, Any]) -> int:
    from ..client.listen import as_document, as_results, listen
    from ..client.results import must_not_exist, write_whole
    from ..client.sound import open_sound
    from .ask_listener import Quiet, Shown
    from .errors import report

    output: Path | None = flags["output"]
    if output is not None:
        must_not_exist(output, force=flags["force"])
    sounds = [_stdin() if str(path) == "-" else open_sound(path) for path in paths]
    target = target_of(flags)
    if flags["mic"] is not None:
        from .listening import listen_for_sound

        sounds.append(listen_for_sound(flags["mic"] or None))
    groups: list[list[Sound]] = [sounds] if asked.together else [[sound] for sound in sounds]
    results: list[tuple[str, Heard]] = []
    try:
        with target.named_in_fixes():
            context = target.context()
            for group in groups:
                name = ", ".join(sound.name for sound in group)
                shown = (
                    Quiet()
                    if flags["as_json"]
                    else Shown(
                        title=name if len(groups) > 1 else "",
                        hide_thinking=flags["hide_thinking"],
                        raw=flags["raw"],
                        show_text=output is None,
                    )
                )
                try:
                    with shown:
                        heard = listen(
                            group,
                            asked,
                            target.question,
                            context=context,
                            longest=flags["window"],
                            jobs=flags["jobs"],
                            listener=shown,
                        )
                        shown.end(heard)
                except (StepAudioError, KeyboardInterrupt):
                    results += [(name, heard) for heard in shown.broken_off]
                    raise
                results.append((name, heard))
                must_have_text(heard)
    except (StepAudioError, KeyboardInterrupt) as error:
        if output is not None and any(heard.answer.text for _, heard in results):
            _keep(as_text(as_document(results), as_json=flags["as_json"]), output)
        elif results and flags["as_json"] and isinstance(error, StepAudioError):
            said = {"code": error.code, "what": error.what, "why": error.why, "fix": error.fix}
            document({"error": said, "results": as_results(results)})
            return report(error, as_json=False)
        raise
    said = as_document(results)
    if output is not None:
        must_not_exist(output, force=flags["force"])
        write_whole(output, as_text(said, as_json=flags["as_json"]))
        notice(f"written to {output}")
    elif flags["as_json"]:
        document(said)
    return 0


def must_have_text(heard: Heard) -> None:
    """Raises UnhealthyError where the tokens were used up by the thinking: that is no answer to go on with."""
    if heard.answer.finish_reason == "length" and not heard.answer.text:
        raise UnhealthyError(
            "no answer came: it was cut off in its thinking",
            why="--max-tokens is too small, or the context is full",
            fix="--max-tokens 8192, or less audio at a time with --window 300",
        )


def _keep(text: str, output: Path) -> None:
    """What there is of an answer that broke off."""
    from ..client.results import partial_of, write_whole

    kept = partial_of(output)
    try:
        write_whole(kept, text)
    except OSError as error:
        notice(f"what was heard so far cannot be written to {kept}: {error.strerror}", level="warning")
    else:
        notice(f"what was heard so far is in {kept}", level="warning")


def _stdin() -> Sound:
    from ..client.sound import kept

    if sys.stdin.isatty():
        raise SettingsError("`-` is standard input, and that is the keyboard", fix="stepaudio-serve ask - < FILE")
    return kept(sys.stdin.buffer)


def as_text(said: dict[str, Any], *, as_json: bool) -> str:
    """A result as it is written to a file."""
    import json

    return (json.dumps(said, indent=2, ensure_ascii=False) if as_json else said["text"]) + "\n"


def _asked(task_name: str | None, prompt: str, language: str | None, to: str | None) -> Asked:
    from ..client.tasks import load_task, prepare, question

    if task_name is not None:
        return prepare(load_task(task_name), more=prompt, language=language, to=to)
    if language or to:
        raise SettingsError(
            "a language is for a task", fix="--task transcribe --language ... or --task translate --to ..."
        )
    return question(prompt or DEFAULT_PROMPT)


def _list_tasks(*, as_json: bool) -> int:
    from ..client.tasks import all_tasks, own_folder
    from .output import remark, table

    tasks = all_tasks(on_wrong=remark)
    if as_json:
        document({"tasks": [task.model_dump() for task in tasks], "folder": str(own_folder())})
    else:
        table([(task.name, task.summary) for task in tasks], ("TASK", "WHAT"), ends_in_prose=True)
        notice(f"your own are files in {own_folder()}")
    return 0


def split_words(
    words: tuple[str, ...], *, has_task: bool = False, has_microphone: bool = False
) -> tuple[list[Path], str]:
    """Files first, then at most one prompt; empty where there is none.

    Raises:
        SettingsError: a file does not exist, or there are two prompts, or no sound.
    """
    paths = [Path(word) for word in words if _is_sound(word)]
    others = [word for word in words if not _is_sound(word)]
    missing = [word for word in others if Path(word).suffix.lower() in AUDIO_ENDINGS]
    if missing:
        raise SettingsError(f"there is no file {missing[0]}", why=f"not in {Path(missing[0]).parent.absolute()}")
    if len(others) > 1:
        raise SettingsError(
            f"{others[0]!r} is no file, and {others[-1]!r} is taken as the question",
            why="one question at the end is expected",
            fix='stepaudio-serve ask FILE... "the whole question in quotes"',
        )
    if not paths and not has_microphone:
        words_given = f' "{others[0]}"' if others else " --task transcribe" if has_task else ""
        raise SettingsError("no sound was given", fix=f"stepaudio-serve ask FILE{words_given}")
    if paths.count(Path("-")) > 1:
        raise SettingsError("standard input can be heard once", fix="stepaudio-serve ask - < FILE")
    return paths, others[0] if others else ""


def _is_sound(word: str) -> bool:
    try:
        return word == "-" or Path(word).exists()
    except OSError:  # a question longer than a file's name may be
        return False
