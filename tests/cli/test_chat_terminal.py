"""`chat` as somebody has it who types: history, completion, and what Ctrl-C and Ctrl-D mean."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.chat_server import HANG, chat_server, finish, piece
from support.terminal import CTRL_C, CTRL_D, ENTER, ESCAPE, TAB, UP, terminal

from stepaudio_serve.audio.wav import wav_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.chat_server import ChatServer
    from support.cli import Cli
    from support.terminal import Terminal


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running.says(piece("I think.\n</think>\n\nAn answer."), *finish())


@pytest.fixture
def chat(run_cli: Cli, server: ChatServer) -> Iterator[Terminal]:
    with terminal(run_cli, "chat", "--endpoint", server.url) as shown:
        shown.shows(">>>")
        yield shown


@pytest.fixture
def history(state_home: Path) -> Path:
    return state_home / "state" / "stepaudio-serve" / "chat-history"


def asked(server: ChatServer) -> list[str]:
    return [body["messages"][-1]["content"][-1]["text"] for body, _ in server.requests]


def test_a_question_is_answered_and_the_next_one_awaited(chat: Terminal, server: ChatServer) -> None:
    chat.type("What is it?", ENTER)
    assert "I think." in chat.shows("An answer.")
    chat.shows(">>>")
    assert asked(server) == ["What is it?"]


def test_alt_enter_begins_a_new_line(chat: Terminal, server: ChatServer) -> None:
    chat.type("one", ESCAPE + ENTER, "two", ENTER)
    chat.shows("An answer.")
    assert asked(server) == ["one\ntwo"]


def test_what_was_typed_is_kept_for_this_user_alone(chat: Terminal, server: ChatServer, history: Path) -> None:
    chat.type("once more", ENTER)
    chat.shows("An answer.")
    chat.shows(">>>")
    assert history.stat().st_mode & 0o777 == 0o600
    chat.type(UP, ENTER)
    chat.shows("An answer.")
    assert asked(server) == ["once more"] * 2


def test_commands_their_words_and_files_are_completed(chat: Terminal, run_cli: Cli) -> None:
    chat.type("/thi", TAB)
    chat.shows("/thinking")
    chat.type(" of", TAB)
    chat.shows("off")
    chat.type(ENTER)
    chat.shows("the thinking is hidden")
    file = run_cli.folder / "a song.wav"
    file.write_bytes(wav_bytes(np.full(16000, 0.1, np.float32)))
    chat.type("/audio a", TAB)
    chat.shows("song.wav")
    chat.type(ENTER)
    chat.shows("attached a song.wav, 1.0 s")
    chat.shows("1 sound >>>")


def test_ctrl_c_stops_the_answer_here_and_at_the_server(chat: Terminal, server: ChatServer, run_cli: Cli) -> None:
    server.says(piece("So</think>It is a"), HANG)
    chat.type("long?", ENTER)
    chat.shows("It is a")
    chat.type(CTRL_C)
    chat.shows("stopped; what was said so far stays in the conversation")
    assert server.gone.wait(20)
    chat.shows(">>>")
    chat.type("and?", ENTER)
    chat.shows("It is a")
    assert [message["role"] for message in server.requests[1][0]["messages"]] == ["user", "assistant", "user"]
    assert server.requests[1][0]["messages"][1]["content"] == "It is a"
    chat.type(CTRL_C)
    chat.shows("stopped")
    chat.shows(">>>")
    chat.type("/save talk.json", ENTER)
    chat.shows("saved as talk.json")
    saved = json.loads((run_cli.folder / "talk.json").read_text())
    assert saved["turns"][0]["answer"]["seconds"] > 0


def test_a_question_stopped_before_its_answer_can_be_asked_again(chat: Terminal, server: ChatServer) -> None:
    server.says(piece("I think and "), HANG)
    chat.type("long?", ENTER)
    chat.shows("I think and")
    chat.type(CTRL_C)
    chat.shows("the question is taken back, /retry asks it again")
    server.says(piece("</think>Yes."), *finish())
    chat.shows(">>>")
    chat.type("/retry", ENTER)
    chat.shows("Yes.")
    assert [len(body["messages"]) for body, _ in server.requests] == [1, 1]


def test_a_failure_ends_nothing(chat: Terminal, server: ChatServer) -> None:
    answer = server.reply
    server.refuses(500, "broken")
    chat.type("one", ENTER)
    chat.shows("HTTP 500")
    chat.shows("the question is taken back")
    server.reply = answer
    chat.shows(">>>")
    chat.type("two", ENTER)
    chat.shows("An answer.")


@pytest.mark.parametrize("keys", [CTRL_D, f"/bye{ENTER}"])
def test_it_ends_when_it_is_told(keys: str, chat: Terminal) -> None:
    chat.type(keys)
    assert chat.ends() == 0


def test_ctrl_c_ends_it_only_twice_and_at_an_empty_prompt(chat: Terminal) -> None:
    chat.type("half a ques")
    chat.shows("ques")
    chat.type(CTRL_C)
    chat.shows("\n")
    chat.shows(">>>")
    chat.type(CTRL_C)
    chat.shows("Ctrl-C again or Ctrl-D ends the conversation")
    chat.shows(">>>")
    chat.type("x")
    chat.shows("x")
    chat.type(CTRL_C)
    chat.shows("\n")
    chat.shows(">>>")
    chat.type(CTRL_C)
    chat.shows("Ctrl-C again")
    chat.shows(">>>")
    chat.type(CTRL_C)
    assert chat.ends() == 0


@pytest.mark.parametrize("when", ["at the prompt", "during an answer"])
def test_a_program_told_to_end_ends_and_leaves_the_terminal_as_it_was(
    when: str, chat: Terminal, server: ChatServer
) -> None:
    if when == "during an answer":
        server.says(piece("So</think>It is a"), HANG)
        chat.type("long?", ENTER)
        chat.shows("It is a")
    chat.process.send_signal(signal.SIGTERM)
    chat.shows("interrupted")
    assert chat.echoes()
    assert chat.ends() == 130
