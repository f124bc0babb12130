"""What the tiny checkpoints are made from, and how one is told from one that was made from something else."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TESTS = Path(__file__).resolve().parents[1]
REPOSITORY = TESTS.parent
DATA = TESTS / "data"
SCRIPTS = TESTS / "testbed"

TEMPLATE = REPOSITORY / "templates" / "step-audio-r1.jinja"
CANARY_SOUND = REPOSITORY / "stepaudio_serve" / "startup" / "canary.wav"
CANARY = CANARY_SOUND.with_suffix(".yaml")
TOKENIZER = DATA / "step-audio-reference" / "checkpoint" / "tokenizer.json"
SHIPPED_LISTENER = DATA / "tiny-listener"
MADE_FROM = "made-from.txt"

MODEL = [TESTS / "support" / "step_audio" / name for name in ("audio.py", "mel.py", "model.py", "prompt.py")]
OF_AUDIO = [SCRIPTS / "checkpoints.py", *MODEL, TOKENIZER]
OF_LISTENER = [*OF_AUDIO, SCRIPTS / "listener.py", SCRIPTS / "lessons.py", TEMPLATE, CANARY_SOUND, CANARY]


def digest(ingredients: Sequence[Path]) -> str:
    """One number for the contents of files."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in ingredients)).hexdigest()


def is_made_from(folder: Path, wanted: str) -> bool:
    """Whether a checkpoint's ingredients had this digest."""
    made_from = folder / MADE_FROM
    return made_from.exists() and made_from.read_text("utf-8").strip() == wanted


def make(target: Path, ingredients: Sequence[Path], fill: Callable[[Path], None]) -> None:
    """Have `fill` fill the folder `target`, in place of what was there."""
    made_from = digest(ingredients)
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    fill(part)
    (part / MADE_FROM).write_text(made_from + "\n", "utf-8")
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    print("made:", target)


def make_once(target: Path, ingredients: Sequence[Path], fill: Callable[[Path], None]) -> None:
    """The same, unless it was made from the same `ingredients` before."""
    if is_made_from(target, digest(ingredients)):
        print("ready:", target)
    else:
        make(target, ingredients, fill)
