"""A streamed answer on a terminal."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import time
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from support.chat_server import chat_server, finish, piece
from support.spoken import RATE, speech

from stepaudio_serve.cli import output
from stepaudio_serve.cli.answering import Wrapped, finished_blocks
from stepaudio_serve.cli.output import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.chat_server import ChatServer
    from support.cli import Cli

MARKDOWN = """\
# Title

Some **bold** words
over two lines.

1. one

2. two

```
code

more
```

| a | b |
|---|---|
| 1 | 2 |
"""
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(scope="module")
def running() -> Iterator[ChatServer]:
    with chat_server() as server:
        yield server


@given(places=st.sets(st.integers(1, len(MARKDOWN) - 1)))
def test_blocks_are_finished_in_the_same_way_however_the_words_arrive(places: set[int]) -> None:
    blocks, growing = [], ""
    edges = [0, *sorted(places), len(MARKDOWN)]
    for begin, end in pairwise(edges):
        finished, growing = finished_blocks(growing + MARKDOWN[begin:end])
        blocks += finished
    assert "".join([*blocks, growing]) == MARKDOWN


def test_the_last_block_may_still_grow() -> None:
    assert finished_blocks("# Title\n\nSome words") == (["# Title\n\n"], "Some words")
    assert finished_blocks("Some words\n\n") == ([], "Some words\n\n")
    assert finished_blocks("a\n\n```\ncode\n\nmore") == (["a\n\n"], "```\ncode\n\nmore")


@given(
    text=st.text("abc日本 \n", max_size=200),
    places=st.sets(st.integers(1, 199)),
)
def test_lines_end_between_words_however_they_arrive_and_nothing_is_lost(text: str, places: set[int]) -> None:
    edges = [0, *sorted(place for place in places if place < len(text)), len(text)]
    lines = Wrapped()
    shown = "".join(lines.after(text[begin:end], 20) for begin, end in pairwise(edges)) + lines.rest()
    assert "".join(shown.split()) == "".join(text.split())
    if all(len(word) < 20 for word in re.split("[日本\\s]", text)):
        assert all(cell_len(line) <= 20 for line in shown.split("\n"))
        assert re.findall("[abc]+", shown) == re.findall("[abc]+", text)


def test_thinking_ends_its_lines_between_words(run_cli: Cli, talk: Path, running: ChatServer) -> None:
    words = " ".join(["considering"] * 20)
    running.forget().says(*map(piece, re.findall(r".{1,7}", words)), piece("</think>Yes."), *finish())
    shown = CONTROL.sub("", on_a_terminal(run_cli, "ask", talk, "--endpoint", running.url))
    lines = [line for line in shown.splitlines() if "consider" in line]
    assert " ".join(lines).split() == words.split()
    assert max(map(len, lines)) <= 80


def test_the_list_of_tasks_ends_its_lines_between_words(run_cli: Cli) -> None:
    listed, _, _ = CONTROL.sub("", on_a_terminal(run_cli, "ask", "--task", "help")).partition("your own")
    assert max(map(len, listed.splitlines())) <= 80


def test_nothing_that_a_terminal_would_obey_is_printed() -> None:
    assert printable("a\x1b]0;title\x07b\r\n\tc\x9b31m \ud83d") == "a]0;titleb\n\tc31m \ufffd"


ORDER = "\x1b]0;title\x07\x1b[2J"
"""Sets a terminal's title and clears it."""


@pytest.mark.parametrize("flags", [(), ("--raw",)])
def test_no_answer_gives_orders_to_the_terminal(
    flags: tuple[str, ...], run_cli: Cli, talk: Path, running: ChatServer
) -> None:
    running.forget().says(piece(f"Hm{ORDER}.</think>"), piece(f"Yes{ORDER}."), *finish())
    shown = on_a_terminal(run_cli, "ask", talk, "--endpoint", running.url, *flags)
    assert "Hm]0;title[2J." in shown
    assert "Yes]0;title[2J." in shown
    assert ORDER[:4] not in shown
    assert ORDER[-4:] not in shown


def test_no_error_of_a_server_gives_orders_to_the_terminal(run_cli: Cli, talk: Path, running: ChatServer) -> None:
    running.forget().refuses(400, {"error": {"message": f"bad{ORDER}"}})
    shown = on_a_terminal(run_cli, "ask", talk, "--endpoint", running.url)
    assert "bad]0;title[2J" in shown
    assert ORDER[:4] not in shown
    assert ORDER[-4:] not in shown


def test_a_name_in_another_encoding_is_printed_as_far_as_it_can_be(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    output.document({"name": "caf\udce9.wav"})
    assert json.loads(capsysbinary.readouterr().out) == {"name": "caf\ufffd.wav"}


def test_a_question_in_another_encoding_is_refused_in_words(run_cli: Cli, talk: Path, running: ChatServer) -> None:
    for words in (["Which caf\udce9?"], ["what?", "--model", "caf\udce9"]):
        asked = run_cli("ask", talk, *words, "--endpoint", running.url)
        assert asked.code == 2, asked.stderr
        assert "✗ 'caf\\udce9" in asked.stderr
        assert "is not UTF-8" in asked.stderr


@pytest.mark.parametrize("write", [output.notice, partial(output.row, "fix", whole=True), partial(output.row, "why")])
def test_remarks_are_printable(write: Callable[..., None]) -> None:
    stream = io.StringIO()
    write(f"a{ORDER}\nb", stream=stream)
    assert "a]0;title[2J\nb" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def on_a_terminal(cli: Cli, *words: str | Path) -> str:
    """What a command writes on a terminal of its own."""
    ours, its = pty.openpty()
    environment = {**cli.environment, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    with subprocess.Popen(cli.argv(*words), cwd=cli.folder, env=environment, stdin=its, stdout=its, stderr=its) as run:
        os.close(its)
        shown = b""
        while True:
            try:
                some = os.read(ours, 4096)
            except OSError:  # Linux says so that the terminal's last user is gone
                break
            if not some:
                break
            shown += some
        run.wait()
    os.close(ours)
    return shown.decode()


@pytest.fixture
def talk(run_cli: Cli) -> Path:
    path = run_cli.folder / "talk.flac"
    soundfile.write(path, speech([1, 2]), RATE)
    return path


def test_markdown_is_rendered_on_a_terminal(run_cli: Cli, talk: Path, running: ChatServer) -> None:
    running.forget().says(
        piece("Hm.\n</think>\n\n"), *map(piece, re.findall(r".{1,7}", MARKDOWN, re.DOTALL)), *finish()
    )
    shown = on_a_terminal(run_cli, "ask", talk, "--endpoint", running.url)
    plain = CONTROL.sub("", shown)
    assert "\x1b[2mHm." in shown
    assert "**bold**" not in plain.split("one")[-1]
    assert "\x1b[1mbold" in shown
    assert "1.0 s of audio, answered in" in plain
    raw = on_a_terminal(run_cli, "ask", talk, "--endpoint", running.url, "--raw")
    assert "Some **bold** words" in raw


def test_a_clock_runs_while_nothing_comes(run_cli: Cli, talk: Path, running: ChatServer) -> None:
    def slow(_body: object) -> list[object]:
        time.sleep(1.6)
        return [piece("Hm.\n</think>\n\nYes."), *finish()]

    running.forget().answers(slow)
    shown = CONTROL.sub("", on_a_terminal(run_cli, "ask", talk, "--endpoint", running.url))
    assert re.search(r"listening \.\.\. 1\.\d s", shown)
    assert shown.index("listening") < shown.index("Yes.")
