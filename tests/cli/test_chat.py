"""`chat` by lines from standard input: what is sent, what is kept, what is said."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest
from support.chat_server import chat_server, finish, piece

from stepaudio_serve.audio.wav import wav_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.chat_server import ChatServer
    from support.cli import Cli, Outcome

REHEARSAL = {"DOCKER_HOST": "unix:///nonexistent", "STEPAUDIO_REHEARSAL_LOAD_SECONDS": "0.2"}

Talk: TypeAlias = "Callable[..., Outcome]"


@pytest.fixture(scope="module")
def running() -> Iterator[ChatServer]:
    with chat_server() as server:
        yield server


@pytest.fixture
def server(running: ChatServer) -> ChatServer:
    return running.forget().says(piece("I think.\n</think>\n\nAn answer."), *finish())


@pytest.fixture
def talk(run_cli: Cli, server: ChatServer) -> Talk:
    """`talk("line", "line", "--flag")`: what came of a conversation with the server."""

    def conversation(*words: str) -> Outcome:
        flags = [word for word in words if word.startswith("--") or word.endswith(".wav")]
        lines = [word for word in words if word not in flags]
        return run_cli("chat", "--endpoint", server.url, *flags, stdin="\n".join(lines))

    return conversation


def sound(path: Path, seconds: float = 1.0) -> Path:
    path.write_bytes(wav_bytes(np.full(round(seconds * 16000), 0.1, np.float32)))
    return path


def kinds(message: dict[str, Any]) -> list[str]:
    return [part["type"] for part in message["content"]]


# ---- what is sent


def test_each_turn_carries_the_turns_before_it_without_their_thinking(talk: Talk, server: ChatServer) -> None:
    assert talk("/system Be brief.", "first", "second").code == 0
    (_, _), (body, _) = server.requests
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "user"]
    assert body["messages"][0]["content"] == "Be brief."
    assert body["messages"][2]["content"] == "An answer."
    assert "I think." not in json.dumps(body)


def test_a_sound_goes_with_the_next_question_and_is_sent_again_later(
    talk: Talk, server: ChatServer, run_cli: Cli
) -> None:
    sound(run_cli.folder / "a.wav")
    sound(run_cli.folder / "b c.wav", 30)
    done = talk("--hide-thinking", "a.wav", "'b c.wav' ", "both?", "again?")
    first, second = (body["messages"] for body, _ in server.requests)
    assert kinds(first[0]) == ["input_audio"] * 3 + ["text"]
    assert second[0] == first[0]
    assert kinds(second[2]) == ["text"]
    assert "attached a.wav, 1.0 s" in done.stderr
    assert "attached b c.wav, 30.0 s" in done.stderr


def test_a_task_asks_its_own_question(talk: Talk, server: ChatServer, run_cli: Cli) -> None:
    sound(run_cli.folder / "a.wav")
    assert talk("a.wav", "/task transcribe").code == 0
    ((body, _),) = server.requests
    assert body["messages"][0]["content"][-1]["text"].startswith("Write down every word")


def test_flags_hold_for_every_turn(talk: Talk, server: ChatServer) -> None:
    talk("--max-tokens=50", "--temperature=0.5", "--model=mine", "first", "second")
    assert [(b["max_tokens"], b["temperature"], b["model"]) for b, _ in server.requests] == [(50, 0.5, "mine")] * 2


# ---- what is kept


def test_a_retry_takes_the_place_of_the_answer(talk: Talk, server: ChatServer) -> None:
    assert talk("first", "/retry", "second").code == 0
    contents = [[message["role"] for message in body["messages"]] for body, _ in server.requests]
    assert contents == [["user"], ["user"], ["user", "assistant", "user"]]


def test_to_clear_forgets_all_but_the_system_prompt(talk: Talk, server: ChatServer) -> None:
    assert talk("/system Be brief.", "first", "/clear", "second").code == 0
    assert [message["role"] for message in server.requests[1][0]["messages"]] == ["system", "user"]


def test_an_answer_that_ended_within_its_thinking_is_no_turn(talk: Talk, server: ChatServer) -> None:
    server.says(piece("I think and think"), *finish("length"))
    done = talk("first", "second")
    assert [len(body["messages"]) for body, _ in server.requests] == [1, 1]
    assert "the answer was cut off" in done.stderr
    assert "the question is taken back" in done.stderr


@pytest.mark.parametrize(
    ("name", "begins"), [("talk.md", "## Question\n\nfirst\n"), ("talk.json", '{\n  "system": ""')]
)
def test_a_conversation_is_saved_and_nothing_is_written_over(
    name: str, begins: str, talk: Talk, server: ChatServer, run_cli: Cli
) -> None:
    assert talk("first", f"/save {name}").code == 0
    saved = (run_cli.folder / name).read_text()
    assert saved.startswith(begins)
    again = talk("other", f"/save {name}")
    assert (again.code, (run_cli.folder / name).read_text()) == (2, saved)
    assert f"{name} is there already" in again.stderr


# ---- what is said


def test_answers_go_to_stdout_and_all_else_to_stderr(talk: Talk) -> None:
    done = talk("first", "second")
    assert done.stdout == "An answer.\nAn answer.\n"
    assert done.stderr.count("I think.") == 2


def test_the_thinking_is_shown_or_not_as_said(talk: Talk) -> None:
    assert talk("/thinking off", "first", "/thinking on", "second").stderr.count("I think.") == 1
    assert "I think." not in talk("--hide-thinking", "first").stderr


def test_json_is_one_document_of_all_turns(talk: Talk, run_cli: Cli) -> None:
    sound(run_cli.folder / "a.wav")
    first, second = talk("--json", "a.wav", "first", "/clear", "second").json["turns"]
    assert (first["text"], first["audio"]) == ("first", [{"name": "a.wav", "seconds": 1.0}])
    assert (second["answer"]["text"], second["answer"]["thinking"]) == ("An answer.", "I think.")
    assert second["answer"].keys() >= {"text", "thinking", "finish_reason", "usage", "seconds"}
    for measured in ("seconds", "first_token_s"):
        assert second["answer"][measured] == round(second["answer"][measured], 3)


def test_tasks_are_listed_whatever_is_wrong_with_one(talk: Talk, run_cli: Cli) -> None:
    own = run_cli.folder / run_cli.environment["XDG_CONFIG_HOME"] / "stepaudio-serve" / "tasks"
    own.mkdir(parents=True)
    (own / "broken.yaml").touch()
    for done in (talk("/task"), run_cli("ask", "--task", "help")):
        assert done.code == 0
        assert "transcribe" in done.stdout + done.stderr
        assert "broken.yaml is not a task: the file is empty; it needs name, summary, prompt, join" in done.stderr


def test_a_failure_ends_it_and_keeps_what_was_answered(talk: Talk, server: ChatServer) -> None:
    done = talk("--json", "first", "/nonsense", "second")
    assert done.code == 2
    assert [turn["text"] for turn in done.json["turns"]] == ["first"]
    assert done.json["error"]["what"] == "/nonsense is neither a command nor a file"
    assert len(server.requests) == 1


def test_a_refusal_of_the_engine_is_told_in_its_words(talk: Talk, server: ChatServer) -> None:
    server.refuses(400, {"error": {"message": "no such thing"}})
    done = talk("first")
    assert (done.code, done.stdout) == (2, "")
    assert "no such thing" in done.stderr


def test_an_answer_with_half_a_character_is_a_turn(talk: Talk, server: ChatServer) -> None:
    server.says(json.dumps(piece("hm</think>smile \ud83d")), *finish())
    done = talk("first", "second")
    assert (done.code, done.stdout) == (0, "smile \ufffd\nsmile \ufffd\n")
    assert talk("--json", "first").json["turns"][0]["answer"]["text"] == "smile \ufffd"


def test_a_line_that_is_not_utf8_is_a_failure_in_words(run_cli: Cli, server: ChatServer) -> None:
    done = subprocess.run(
        run_cli.argv("chat", "--endpoint", server.url, "--json"),
        cwd=run_cli.folder,
        env=run_cli.environment,
        input=b"first\ncaf\xe9?\n",
        capture_output=True,
        check=False,
    )
    said = json.loads(done.stdout)
    assert (done.returncode, [turn["text"] for turn in said["turns"]]) == (2, ["first"])
    assert "is not UTF-8" in said["error"]["what"]


def test_a_sound_that_was_not_asked_about_is_said(talk: Talk, server: ChatServer, run_cli: Cli) -> None:
    sound(run_cli.folder / "a.wav")
    assert "nothing was asked about a.wav" in talk("a.wav").stderr
    assert server.requests == []


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("/retry", ""),
        ("/task transcribe", "/audio FILE"),
        ("/task nonsense", "/task describe"),
        ("nofile.mp3", "/audio FILE"),
        ("/thinking", "/thinking off"),
        ("/audio", "/audio FILE"),
        ("/audio nowhere.mp3", ""),
        ("/mic", ""),
        ("/mic ten", "/mic 10"),
        ("/mic -1", "/mic 10"),
        ("/sav x", "/save"),
        ("/save nowhere/x.md", ""),
    ],
)
def test_what_cannot_be_done_is_said_with_what_can(line: str, fix: str, talk: Talk) -> None:
    done = talk("--json", line)
    assert done.code in {2, 3}, done.stderr
    assert fix in done.json["error"]["fix"]


def test_without_a_terminal_nothing_of_a_terminal_is_loaded(run_cli: Cli, server: ChatServer) -> None:
    done = run_cli("chat", "--endpoint", server.url, stdin="first", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.code == 0
    assert "stepaudio_serve.cli.chat_turns" in done.stderr
    assert "prompt_toolkit" not in done.stderr
    assert "sounddevice" not in done.stderr


# ---- how much the context holds


@pytest.fixture
def rehearsal(run_cli: Cli, free_port: int) -> Iterator[Talk]:
    """A conversation with a rehearsal engine that has a context of 300 tokens."""
    own = ("--engine", "rehearsal", "--runtime", "process", "--name", "mine", "--port", str(free_port))
    started = run_cli("up", *own, "--no-guard", "--canary", "off", "--max-model-len", "300", env=REHEARSAL)
    assert started.code == 0, started.stderr
    yield lambda *lines: run_cli("chat", "--name", "mine", stdin="\n".join(lines), env=REHEARSAL)
    run_cli("down", "mine", "--stop-grace", "0", env=REHEARSAL)


def test_the_end_of_the_context_is_told_before_it_comes(rehearsal: Talk, run_cli: Cli) -> None:
    near = rehearsal("word " * 240, "/clear", "short")
    assert near.code == 0, near.stderr
    assert near.stderr.count("nothing is dropped by itself") == 1
    assert "of the 300 tokens of the context" in near.stderr
    assert "/clear" in near.stderr

    sound(run_cli.folder / "a.wav", 25)
    long = rehearsal("a.wav", "a.wav")  # 50 s are 625 tokens
    assert long.code == 3
    assert "a.wav is too long for this conversation" in long.stderr
    assert "stepaudio-serve ask --name mine a.wav" in long.stderr
