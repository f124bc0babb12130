"""`ask FOLDER`: the same question about each sound in a folder, a result file each."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from ..client.concurrently import concurrently
from ..client.listen import as_document, listen
from ..client.results import files_below, must_be_named, result_of, write_whole
from ..client.sound import open_sound
from ..errors import RefusedError, SettingsError, StepAudioError, TimedOutError, UnhealthyError
from .ask import AUDIO_ENDINGS, as_text, must_have_text
from .ask_listener import Bar
from .errors import exit_code
from .output import document, duration, notice, row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ..client.listen import Heard
    from ..client.tasks import Asked
    from .target import Target

Item = TypeVar("Item")

GIVE_UP_AFTER = 3
"""So many failures one after another that are not the files' own mean that the rest will fail too."""


@dataclass(slots=True)
class Batch:
    """What became of a folder's files."""

    done: list[str] = field(default_factory=list)
    failed: list[tuple[str, StepAudioError]] = field(default_factory=list)
    skipped: int = 0
    ignored: int = 0
    not_asked: int = 0
    audio_seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The document of `ask FOLDER --json`."""
        return {
            "done": self.done,
            "failed": [
                {"sound": name, "error": {"code": error.code, "what": error.what, "why": error.why, "fix": error.fix}}
                for name, error in self.failed
            ],
            "skipped": self.skipped,
            "ignored": self.ignored,
            "not_asked": self.not_asked,
            "audio_seconds": round(self.audio_seconds, 2),
        }


def ask_folder(folder: Path, asked: Asked, target: Target, context: int | None, flags: dict[str, Any]) -> int:
    """Ask about each sound in a folder that has no result yet; the exit code of the worst failure.

    Raises `SettingsError` where no folder for the results is named, or it cannot be one.
    """
    results: Path | None = flags["output"]
    if results is None:
        raise SettingsError(
            "results need a folder", fix=f"stepaudio-serve ask {shlex.quote(str(folder))} -o RESULTS ..."
        )
    if results.exists() and not results.is_dir():
        raise SettingsError(f"{results} is not a folder", fix="-o FOLDER")
    if results.resolve() in {folder.resolve(), *folder.resolve().parents}:
        raise SettingsError(
            f"{results} holds the sounds themselves",
            why="results stand in a folder of their own, in which no sounds are looked for",
            fix=f"-o {shlex.quote(str(folder / 'results'))}",
        )
    ending = ".json" if flags["as_json"] else ".txt" if asked.task.join == "transcript" else ".md"
    batch = Batch()
    work = list(_to_do(folder, results, ending, batch, force=flags["force"]))

    def hear(item: tuple[Path, Path]) -> Heard:
        sound, result = item
        must_be_named(result)
        with target.named_in_fixes():
            return listen([open_sound(sound)], asked, target.question, context=context, longest=flags["window"])

    bar = Bar()
    bar.start(len(work))
    try:
        for number, result in concurrently(flags["jobs"], hear, _until(lambda: _is_hopeless(batch), work)):
            sound, place = work[number]
            name = str(sound.relative_to(folder))
            try:
                heard = result()
                _must_be_whole(heard)
                _write(place, as_text(as_document([(name, heard)]), as_json=flags["as_json"]))
            except StepAudioError as error:
                batch.failed.append((name, error))
                with bar.away():
                    notice(f"{name}: {error.what}", level="warning")
            else:
                batch.done.append(name)
                batch.audio_seconds += heard.audio_seconds
            bar.step()
            bar.doing(f"{len(batch.done) + len(batch.failed)} of {len(work)}: {name}")
    except KeyboardInterrupt:
        bar.stop()
        notice(f"{len(batch.done)} of {len(work)} are done; the same command goes on with the rest")
        raise
    finally:
        bar.stop()
    batch.not_asked = len(work) - len(batch.done) - len(batch.failed)
    _report(batch, results, as_json=flags["as_json"])
    return max((exit_code(error) for _, error in batch.failed), default=0)


def _to_do(folder: Path, results: Path, ending: str, batch: Batch, *, force: bool) -> Iterator[tuple[Path, Path]]:
    """The sounds without a result, each with the result's place; all else is counted."""
    for path in files_below(folder, without=results):
        target = result_of(path, folder, results, ending)
        if not _is_sound(path):
            batch.ignored += 1
        elif os.path.exists(target) and not force:  # noqa: PTH110 - a name that is too long is no error here
            batch.skipped += 1
        else:
            yield path, target


def _is_sound(path: Path) -> bool:
    """Whether it is to be heard; one that only has a sound's name is, and fails: nobody should miss it."""
    if path.suffix.lower() in AUDIO_ENDINGS:
        return True
    try:
        open_sound(path)
    except SettingsError:
        return False
    return True


def _must_be_whole(heard: Heard) -> None:
    """A result that is there is never asked for again, so one that was cut off must not be."""
    must_have_text(heard)
    if heard.answer.finish_reason == "length":
        raise UnhealthyError(
            "the answer was cut off",
            why="--max-tokens is too small, or the context is full",
            fix="--max-tokens 8192, or less audio at a time with --window 300",
        )


def _write(place: Path, text: str) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, text)
    except OSError as error:
        raise RefusedError(
            f"{place} cannot be written",
            why=error.strerror or str(error),
            fix=f"ls -ld {shlex.quote(str(place.parent))}",
        ) from error


def _is_hopeless(batch: Batch) -> bool:
    """Whether the last files all failed for what is no fault of theirs."""
    last = [error for _, error in batch.failed[-GIVE_UP_AFTER:]]
    return len(last) == GIVE_UP_AFTER and all(
        isinstance(error, UnhealthyError | TimedOutError | RefusedError) for error in last
    )


def _until(stop: Callable[[], bool], items: list[Item]) -> Iterator[Item]:
    for item in items:
        if stop():
            return
        yield item


def _report(batch: Batch, results: Path, *, as_json: bool) -> None:
    if as_json:
        document(batch.to_json())
    for name, error in batch.failed:
        notice(f"{name}: {error.what}", level="blocker")
        row("why", error.why)
        row("fix", error.fix, whole=True)
    if batch.not_asked:
        notice(f"{batch.not_asked} were not asked about, after {GIVE_UP_AFTER} failures in a row", level="warning")
    if batch.skipped:
        notice(f"{batch.skipped} had results already; --force asks about them again")
    if batch.ignored:
        notice(f"other files, without sound: {batch.ignored}")
    notice(f"{len(batch.done)} done, {duration(batch.audio_seconds)} of audio, results in {results}")
