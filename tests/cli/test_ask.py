"""`ask` and the hand-off of `up`, with the rehearsal engine as a process of its own."""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from stepaudio_serve.cli.answering import Words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.cli import Cli, Outcome

CLIP = str(files("stepaudio_serve.startup") / "canary.wav")
ENVIRONMENT = {"DOCKER_HOST": "unix:///nonexistent", "STEPAUDIO_REHEARSAL_LOAD_SECONDS": "0.2"}


@dataclass(frozen=True, slots=True)
class Rehearsal:
    cli: Cli
    port: int

    def up(self, *words: str, **env: str) -> Outcome:
        own = ("--engine", "rehearsal", "--runtime", "process", "--name", "mine", "--port", str(self.port))
        return self.cli("up", *own, *words, env={**ENVIRONMENT, **env})

    def ask(self, *words: str, **env: str) -> Outcome:
        return self.cli("ask", "--name", "mine", *words, env={**ENVIRONMENT, **env})


@pytest.fixture
def rehearsal(run_cli: Cli, free_port: int) -> Iterator[Rehearsal]:
    yield Rehearsal(run_cli, free_port)
    run_cli("down", "mine", "--stop-grace", "0", env=ENVIRONMENT)


# ---- the question


def test_a_question_may_be_longer_than_a_file_name_may_be(rehearsal: Rehearsal) -> None:
    assert rehearsal.up().code == 0
    asked = rehearsal.ask(CLIP, "What is said? " * 400)
    assert asked.code == 0, asked.stderr
    assert "Clip 1: 2.88 s" in asked.stdout


def test_what_is_no_sound_is_refused_whatever_its_name(rehearsal: Rehearsal) -> None:
    (rehearsal.cli.folder / "talk.wav").write_bytes(b"%PDF-1.7" + bytes(40))
    asked = rehearsal.ask("talk.wav")
    assert asked.code == 2
    assert "talk.wav cannot be heard" in asked.stderr


# ---- the answer on the screen


def test_thinking_and_answer_are_a_blank_line_apart(rehearsal: Rehearsal) -> None:
    assert rehearsal.up().code == 0
    together = subprocess.run(
        rehearsal.cli.argv("ask", "--name", "mine", CLIP),
        env={**rehearsal.cli.environment, **ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    ).stdout
    assert "I can only measure.\n\nI am a rehearsal" in together


@pytest.mark.parametrize(
    ("pieces", "shown"), [((), ""), (("a",), "a\n\n"), (("a\n",), "a\n\n"), (("a", "\n", "\n"), "a\n\n")]
)
def test_words_are_ended_by_the_line_breaks_that_they_lack(pieces: tuple[str, ...], shown: str) -> None:
    stream = io.StringIO()
    words = Words(stream)
    for piece in pieces:
        words.write(piece)
    words.end("\n\n")
    words.end("\n")
    assert stream.getvalue() == shown


def test_what_follows_words_that_were_cut_off_begins_on_its_own_line(rehearsal: Rehearsal) -> None:
    assert rehearsal.up().code == 0
    asked = rehearsal.ask(CLIP, "--max-tokens", "5")
    assert "\n! the answer was cut off" in asked.stderr


@pytest.mark.parametrize("thinking_words", ["0", "1000"])
def test_an_error_in_mid_answer_begins_on_its_own_line(thinking_words: str, rehearsal: Rehearsal) -> None:
    slow = {"STEPAUDIO_REHEARSAL_TOKEN_SECONDS": "0.03", "STEPAUDIO_REHEARSAL_THINKING_WORDS": thinking_words}
    assert rehearsal.up("--canary", "off", **slow).code == 0
    asked = rehearsal.ask(CLIP, "--timeout", "1")
    assert asked.code == 5
    assert re.search(r"\S\n+✗ No whole answer", asked.stderr)
    assert "  fix  stepaudio-serve status mine\n" in asked.stderr
    assert asked.stdout == "" or asked.stdout.endswith("\n")


def test_what_to_type_names_the_deployment_for_the_files_of_a_folder_too(rehearsal: Rehearsal, tmp_path: Path) -> None:
    slow = {"STEPAUDIO_REHEARSAL_TOKEN_SECONDS": "0.03", "STEPAUDIO_REHEARSAL_THINKING_WORDS": "1000"}
    assert rehearsal.up("--canary", "off", **slow).code == 0
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    shutil.copy(CLIP, sounds)
    asked = rehearsal.ask(str(sounds), "-o", str(tmp_path / "out"), "--timeout", "1")
    assert asked.code == 5
    assert "  fix  stepaudio-serve status mine\n" in asked.stderr


# ---- the key


def test_the_printed_curl_takes_the_key_from_its_file(rehearsal: Rehearsal) -> None:
    (rehearsal.cli.folder / "key file").write_text("sk-of-a-file\n")
    line = next(row for row in rehearsal.up("--api-key-file", "key file").stdout.splitlines() if "  curl " in row)
    command = line.split(maxsplit=1)[1]
    assert "sk-of-a-file" not in command
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env={**os.environ})
    assert '"choices"' in done.stdout


def test_a_key_of_the_environment_stays_in_the_environment(rehearsal: Rehearsal) -> None:
    assert "Bearer $STEPAUDIO_API_KEY" in rehearsal.up(STEPAUDIO_API_KEY="sk-of-mine").stdout


def test_a_key_of_a_file_of_settings_is_for_this_machine(run_cli: Cli) -> None:
    (run_cli.folder / "stepaudio.yaml").write_text("api_key: sk-of-settings\n")
    elsewhere = run_cli("ask", CLIP, "--endpoint", "http://nowhere.invalid")
    assert "the key of stepaudio.yaml:1 is not sent to nowhere.invalid" in elsewhere.stderr
    own = {"STEPAUDIO_API_KEY": "sk-for-nowhere"}
    assert "is not sent" not in run_cli("ask", CLIP, "--endpoint", "http://nowhere.invalid", env=own).stderr
    assert "is not sent" not in run_cli("ask", CLIP, "--endpoint", "http://127.0.0.1:1").stderr


@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_wrong_setting_blocks_no_command_that_needs_it_not(place: str, rehearsal: Rehearsal) -> None:
    assert rehearsal.up().code == 0
    wrong = {"STEPAUDIO_PORT": "abc"} if place == "environment" else {}
    if place == "file":
        (rehearsal.cli.folder / "stepaudio.yaml").write_text("port: abc\nname: mine\n")
    assert rehearsal.ask(CLIP, **wrong).code == 0
    words = ["down"] if place == "file" else ["down", "mine"]
    assert rehearsal.cli(*words, env={**ENVIRONMENT, **wrong}).code == 0


# ---- the hand-off


def test_without_waiting_only_what_works_now_is_told(rehearsal: Rehearsal) -> None:
    done = rehearsal.up("--no-wait", STEPAUDIO_REHEARSAL_LOAD_SECONDS="30")
    assert done.stdout.splitlines()[0].endswith("mine is starting")
    assert "curl" not in done.stdout
    for line in done.stdout.splitlines()[1:]:
        assert shlex.split(line)[1] == "stepaudio-serve"
        assert line.endswith(" mine")


def test_a_rehearsals_phases_are_called_a_rehearsal(rehearsal: Rehearsal) -> None:
    said = rehearsal.up().stderr
    assert "rehearsal: weights loaded, 20.6 GiB" in said
    assert not re.search(r"\] (weights|KV cache|starting vLLM)", said)


# ---- completion


def test_names_of_deployments_are_completed(rehearsal: Rehearsal) -> None:
    assert rehearsal.up("--canary", "off").code == 0
    for words in ("down m", "status --name m", "ask --name m"):
        asked = {"_STEPAUDIO_SERVE_COMPLETE": "bash_complete", "COMP_WORDS": f"stepaudio-serve {words}"}
        done = rehearsal.cli(env={**ENVIRONMENT, **asked, "COMP_CWORD": str(len(words.split()))})
        assert (words, done.stdout, done.stderr) == (words, "plain,mine\n", "")
