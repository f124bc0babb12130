"""The command line's words: help, usage errors, JSON errors, pipes, colours, completion, early Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stepaudio_serve.cli.main import SECTIONS

if TYPE_CHECKING:
    from support.cli import Cli

COMMANDS = [name for section in SECTIONS.values() for name in section]
NO_DOCKER = {"DOCKER_HOST": "unix:///nonexistent"}


# ---- help


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_80_columns(command: str, run_cli: Cli) -> None:
    done = run_cli(*command.split(), "--help", env={"COLUMNS": "80"})
    assert (done.code, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_help_names_every_command_and_exit_code(run_cli: Cli) -> None:
    text = run_cli("--help").stdout
    for name in COMMANDS:
        assert f"\n  {name} " in text
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 130):
        assert f" {code} " in " ".join(text.split())


@pytest.mark.parametrize("group", ["config", "template", "profiles"])
def test_no_summary_of_a_subcommand_is_cut(group: str, run_cli: Cli) -> None:
    assert "..." not in run_cli(group, "--help", env={"COLUMNS": "80"}).stdout.partition("Commands:")[2]


def test_the_version_is_said(run_cli: Cli) -> None:
    from stepaudio_serve import __version__

    assert __version__ in run_cli("--version").stdout


# ---- usage


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["stauts"], "Did you mean status?"),
        (["up", "--prot", "1"], "--port"),
        (["render", "kompose"], "compose"),
        (["plan", "--max-model-len"], "--max-model-len"),
        (["wait", "one", "--name", "two"], "two names"),
        (["diagnose", "/no/such/file"], "/no/such/file"),
        (["up", "--attach", "--json"], "--attach"),
        (["status", "--watch", "--json"], "--watch"),
    ],
)
def test_wrong_usage_is_exit_2_with_a_hint_and_no_output(words: list[str], said: str, run_cli: Cli) -> None:
    done = run_cli(*words)
    assert done.code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    if "--json" not in words:
        assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        (["plan", "--prot", "1"], "stepaudio-serve plan --help"),
        (["template", "chekc"], "stepaudio-serve template --help"),
        (["stauts"], "stepaudio-serve --help"),
    ],
)
def test_the_fix_of_wrong_usage_names_the_command(words: list[str], fix: str, run_cli: Cli) -> None:
    assert f"  fix  {fix}\n" in run_cli(*words).stderr
    assert run_cli(*words, "--json").json["error"]["fix"] == fix


@pytest.mark.parametrize(
    ("words", "code", "kind"),
    [
        (["plan", "--prot", "1"], 2, "usage"),
        (["plan", "--port", "0"], 2, "invalid-settings"),
        (["plan", "--profile", "rtx-5080"], 2, "invalid-settings"),
        (["status", "nobody", "--name", "somebody"], 2, "usage"),
        (["status"], 3, "runtime-unavailable"),
        (["down"], 3, "runtime-unavailable"),
        (["up"], 3, "runtime-unavailable"),
        (["up", "--runtime", "process"], 3, "refused"),
    ],
)
def test_with_json_an_error_is_one_document_and_words_on_stderr(
    words: list[str], code: int, kind: str, run_cli: Cli
) -> None:
    done = run_cli(*words, "--json", env=NO_DOCKER)
    assert done.code == code
    assert done.json["error"]["code"] == kind
    assert done.json["error"].keys() == {"code", "what", "why", "fix"}
    assert done.json["error"]["what"].splitlines()[0] in done.stderr


def test_a_json_flag_for_the_engine_is_not_ours(run_cli: Cli) -> None:
    done = run_cli("plan", "--port", "0", "--", "--json")
    assert done.code == 2
    assert done.stdout == ""


def test_settings_errors_name_every_origin(run_cli: Cli) -> None:
    (run_cli.folder / "stepaudio.yaml").write_text("# mine\ncanary: maybe\n")
    done = run_cli("plan", "--port", "0", env={"STEPAUDIO_GPUS": "al"})
    assert done.code == 2
    assert done.stdout == ""
    assert "(--port)" in done.stderr
    assert "(STEPAUDIO_GPUS)" in done.stderr
    assert "(stepaudio.yaml:2)" in done.stderr


def test_what_follows_the_dashes_is_for_the_engine_where_one_is_started_and_words_elsewhere(run_cli: Cli) -> None:
    planned = run_cli("plan", "--json", "--", "--enforce-eager", "--seed", "1", env=NO_DOCKER)
    command = planned.json["command"]
    assert command[command.index("--enforce-eager") :][:3] == ["--enforce-eager", "--seed", "1"]
    assert "two names" in run_cli("down", "--name", "one", "--", "two").stderr


def test_a_file_that_cannot_be_written_is_told_in_words(run_cli: Cli) -> None:
    (run_cli.folder / "file").write_text("")
    done = run_cli("render", "compose", "-o", "file/compose", env=NO_DOCKER)
    assert done.code == 3
    assert "file/compose" in done.stderr
    assert "Traceback" not in done.stderr


# ---- pipes and terminals


@pytest.mark.parametrize("words", [["plan"], ["config", "schema"], ["--help"], ["template", "show"]])
def test_a_reader_that_goes_away_is_no_error(words: list[str], run_cli: Cli) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        run_cli.argv(*words),
        cwd=run_cli.folder,
        env={**run_cli.environment, **NO_DOCKER},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["config", "show"], ["config", "show", "--json"]])
def test_a_full_disk_is_told_in_one_line(words: list[str], run_cli: Cli) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            run_cli.argv(*words),
            cwd=run_cli.folder,
            env=run_cli.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "✗ the output cannot be written\n  why  No space left on device\n"


def on_a_terminal(run_cli: Cli, *words: str, **env: str) -> str:
    """What the command writes when stdout is a terminal."""
    ours, its = pty.openpty()
    subprocess.run(
        run_cli.argv(*words),
        cwd=run_cli.folder,
        env={**run_cli.environment, **NO_DOCKER, "TERM": "xterm-256color", **env},
        stdout=its,
        stderr=its,
        check=False,
    )
    os.close(its)
    text = b""
    try:
        while piece := os.read(ours, 65536):
            text += piece
    except OSError:  # the other end is closed and everything is read
        pass
    os.close(ours)
    return text.decode()


def test_colours_are_for_terminals_that_want_them(run_cli: Cli) -> None:
    assert "\x1b[" in on_a_terminal(run_cli, "profiles", "list")
    assert "\x1b[" not in on_a_terminal(run_cli, "profiles", "list", NO_COLOR="1")
    assert "\x1b[" not in on_a_terminal(run_cli, "profiles", "list", TERM="dumb")
    assert "\x1b[" not in run_cli("profiles", "list", env={"TERM": "xterm-256color"}).stdout


def test_prose_ends_between_words_where_the_terminal_ends_and_what_is_pasted_stays_whole(run_cli: Cli) -> None:
    said = on_a_terminal(run_cli, "plan", "--model", "Org/" + "R" * 60, COLUMNS="60", NO_COLOR="1").splitlines()
    assert "planned without a container engine" in " ".join(said)
    assert any(line.startswith("  fix  stepaudio-serve pull") and len(line) > 60 for line in said)
    notes = said[said.index("Notes") :]
    assert all(len(line) <= 60 or line.startswith("  fix") or " " not in line.strip() for line in notes)


def test_a_stream_without_unicode_gets_words_for_marks(run_cli: Cli) -> None:
    done = run_cli("plan", "--port", "0", env={"PYTHONIOENCODING": "ascii"})
    assert done.code == 2
    assert done.stderr.startswith("blocker port = ")


# ---- completion


def test_bash_completes_commands_flags_and_choices(run_cli: Cli) -> None:
    script = run_cli(env={"_STEPAUDIO_SERVE_COMPLETE": "bash_source"})
    assert script.code == 0
    assert "complete" in script.stdout
    subprocess.run(["bash", "-n"], input=script.stdout, text=True, check=True)

    def completed(*words: str) -> list[str]:
        line = ["stepaudio-serve", *words]
        asked = {
            "_STEPAUDIO_SERVE_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(line),
            "COMP_CWORD": str(len(words)),
        }
        return [row.partition(",")[2] for row in run_cli(env=asked).stdout.splitlines()]

    assert completed("sta") == ["status"]
    assert completed("up", "--max-model") == ["--max-model-len"]
    assert completed("up", "--canary", "st") == ["strict"]
    assert "rtx-5090" in completed("plan", "--profile", "rtx")


@pytest.mark.parametrize(
    "words",
    ["ask no", "up --model no", "up --chat-template no", "up --api-key-file no", "template check no"],
)
def test_files_are_completed_by_the_shell(words: str, run_cli: Cli) -> None:
    asked = {"_STEPAUDIO_SERVE_COMPLETE": "bash_complete", "COMP_WORDS": f"stepaudio-serve {words}"}
    assert run_cli(env={**asked, "COMP_CWORD": str(len(words.split()))}).stdout == "file,no\n"


# ---- Ctrl-C


@pytest.mark.parametrize("module", ["stepaudio_serve.cli.main", "stepaudio_serve.settings.options", "pydantic"])
def test_ctrl_c_while_modules_are_still_imported_ends_quietly(module: str, run_cli: Cli) -> None:
    words = ["plan", *(word for _ in range(2000) for word in ("--port", "1"))]  # enough to do for a while
    python, *rest = run_cli.argv(*words)
    with subprocess.Popen(
        [python, "-X", "importtime", *rest],
        cwd=run_cli.folder,
        env={**run_cli.environment, **NO_DOCKER},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if module in line:
                break
        process.send_signal(signal.SIGINT)
        rest_of_stderr = process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in rest_of_stderr
    assert rest_of_stderr.endswith("interrupted\n")


def test_ctrl_c_is_a_document_too_with_json(run_cli: Cli, free_port: int) -> None:
    args = ("up", "--engine", "rehearsal", "--runtime", "process", "--json", "--port", str(free_port))
    env = {"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "60", **NO_DOCKER}
    process = run_cli.start(*args, env=env)
    assert process.stderr is not None
    for line in process.stderr:
        if "starting vLLM" in line:
            break
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(stdout)["error"]["code"] == "interrupted"
    assert "Traceback" not in stderr
    assert run_cli("down", "--json", env=NO_DOCKER).code == 3  # nothing is left to take down
