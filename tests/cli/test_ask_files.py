"""`ask` with tasks, files, folders and interruptions, against an endpoint that hears tones."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
import soundfile
from starlette.responses import JSONResponse
from support.chat_server import HANG, chat_server, finish, piece
from support.spoken import RATE, heard, samples_in, sentence, speech, text_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.chat_server import ChatServer
    from support.cli import Cli, Outcome


@pytest.fixture(scope="module")
def running() -> Iterator[ChatServer]:
    with chat_server() as server:
        yield server


@pytest.fixture
def server(running: ChatServer) -> ChatServer:
    running.forget().context = 8192
    return running.answers(writes_down)


def writes_down(body: dict[str, Any]) -> list[object]:
    sound = samples_in(body)
    text = heard(sound) if len(sound) else f"all of {text_in(body).count('word')}"
    return [piece(f"Let me listen.\n</think>\n\n{text}"), *finish()]


@pytest.fixture
def talks(run_cli: Cli) -> Path:
    """A folder with two sounds, of which one is not called so, and two files that are none."""
    folder = run_cli.folder / "talks"
    (folder / "deep").mkdir(parents=True)
    soundfile.write(folder / "a.flac", speech([1, 2, 3]), RATE)
    soundfile.write(folder / "deep" / "b.bin", speech([4, 5]), RATE, format="WAV")
    (folder / "notes.txt").write_text("no sound")
    (folder / "empty").touch()
    return folder


@pytest.fixture
def ask(run_cli: Cli, server: ChatServer) -> Any:
    def run(*words: str | Path, **more: Any) -> Outcome:
        return run_cli("ask", *words, "--endpoint", server.url, **more)

    return run


# ---- one or several files


def test_the_answer_alone_is_on_stdout(ask: Any, talks: Path) -> None:
    done = ask(talks / "a.flac", "Write it down.")
    assert (done.code, done.stdout) == (0, "word1 word2 word3\n")
    assert done.stderr.startswith("Let me listen.\n")
    assert "Let me listen" not in ask(talks / "a.flac", "--hide-thinking").stderr


def test_with_a_task_each_file_is_heard_by_itself(ask: Any, talks: Path, server: ChatServer) -> None:
    files = (talks / "a.flac", talks / "deep" / "b.bin")
    done = ask(*files, "--task", "transcribe")
    assert done.stdout == f"## {files[0]}\n\nword1 word2 word3\n\n## {files[1]}\n\nword4 word5\n\n"
    assert len(server.requests) == 2


def test_without_one_all_are_heard_together(ask: Any, talks: Path) -> None:
    assert ask(talks / "a.flac", talks / "deep" / "b.bin", "Compare.").stdout == "word1 word2 word3 word4 word5\n"


def test_words_beside_a_task_are_added_to_it(ask: Any, talks: Path, server: ChatServer) -> None:
    assert ask(talks / "a.flac", "--task", "translate", "--to", "French", "Be polite.").code == 0
    asked = text_in(server.requests[0][0])
    assert "into French" in asked
    assert asked.endswith("\n\nBe polite.")


def test_json_has_the_answer_with_its_times_and_tokens(ask: Any, talks: Path) -> None:
    said = ask(talks / "a.flac", "--task", "transcribe", "--json").json
    assert (said["text"], said["thinking"], said["finish_reason"]) == ("word1 word2 word3", "Let me listen.", "stop")
    assert said["usage"]["total_tokens"] == 10
    assert 0 < said["timings"]["first_token_s"] <= said["seconds"]
    assert said["audio_seconds"] == 1.5
    assert [(part["start"], part["end"], part["text"]) for part in said["pieces"]] == [(0, 1.5, "word1 word2 word3")]


def test_longer_audio_is_written_down_with_times_and_every_word_once(ask: Any, run_cli: Cli) -> None:
    words = [n * 7 % 300 for n in range(700)]
    soundfile.write(run_cli.folder / "long.flac", speech(words), RATE)
    done = ask("long.flac", "--task", "transcribe")
    assert "5 min 50 s of audio do not fit 8,192 tokens" in done.stderr
    assert "part 1 of 2, 00:00:00 to" in done.stderr
    told = [line for line in done.stdout.splitlines() if line]
    assert all(line.startswith("[00:0") for line in told)
    assert " ".join(line.partition("] ")[2] for line in told) == sentence(words)


def test_tasks_are_listed(run_cli: Cli) -> None:
    listed = run_cli("ask", "--task", "help")
    assert listed.stdout.startswith("TASK")
    assert "\ntranscribe  The words that are said.\n" in listed.stdout
    unknown = run_cli("ask", "--task", "sing", run_cli.folder / "x.wav")
    assert unknown.code == 2


def test_a_users_own_task(ask: Any, talks: Path, server: ChatServer, run_cli: Cli) -> None:
    own = run_cli.folder / "config" / "stepaudio-serve" / "tasks"
    for root in (own, (run_cli.folder / run_cli.environment["XDG_CONFIG_HOME"]) / "stepaudio-serve" / "tasks"):
        root.mkdir(parents=True, exist_ok=True)
        (root / "birds.yaml").write_text("name: birds\nsummary: Birds.\nprompt: Which birds?\njoin: transcript\n")
    assert ask(talks / "a.flac", "--task", "birds").code == 0
    assert text_in(server.requests[0][0]) == "Which birds?"


# ---- an answer as a file


def test_an_answer_goes_to_a_file_and_never_over_another(
    ask: Any, talks: Path, run_cli: Cli, server: ChatServer
) -> None:
    target = run_cli.folder / "answer.txt"
    done = ask(talks / "a.flac", "-o", target)
    assert (done.code, done.stdout, target.read_text()) == (0, "", "word1 word2 word3\n")
    again = ask(talks / "deep" / "b.bin", "-o", target)
    assert (again.code, target.read_text()) == (2, "word1 word2 word3\n")
    assert "--force" in again.stderr
    assert len(server.requests) == 1
    assert ask(talks / "deep" / "b.bin", "-o", target, "--force", "--json").code == 0
    assert json.loads(target.read_text())["text"] == "word4 word5"


def refuses_two_words(body: dict[str, Any]) -> object:
    text = heard(samples_in(body))
    return JSONResponse({"error": {"message": "no"}}, 400) if text == "word4 word5" else writes_down(body)


def test_what_was_heard_before_a_failure_is_kept(ask: Any, talks: Path, server: ChatServer, run_cli: Cli) -> None:
    server.answers(refuses_two_words)
    words = (talks / "a.flac", talks / "deep" / "b.bin", "--task", "transcribe")
    done = ask(*words, "-o", run_cli.folder / "t.txt")
    assert done.code == 2
    assert f"so far is in {run_cli.folder}/t.txt.partial" in " ".join(done.stderr.split())
    assert (run_cli.folder / "t.txt.partial").read_text() == "word1 word2 word3\n"
    assert not (run_cli.folder / "t.txt").exists()
    said = ask(*words, "--json").json
    assert said["error"]["code"] == "invalid-settings"
    assert [(result["sound"], result["text"]) for result in said["results"]] == [
        (str(talks / "a.flac"), "word1 word2 word3")
    ]


def test_the_parts_before_a_failure_are_kept(ask: Any, server: ChatServer, run_cli: Cli) -> None:
    soundfile.write(run_cli.folder / "long.flac", speech([n % 300 for n in range(700)]), RATE)
    server.answers(
        lambda body: writes_down(body) if len(server.requests) < 2 else JSONResponse({"error": {"message": "no"}}, 400)
    )
    assert ask("long.flac", "--task", "transcribe", "-o", "t.txt").code == 2
    assert (run_cli.folder / "t.txt.partial").read_text().startswith("[00:00:00] word0 word1 ")


# ---- interruption


def test_ctrl_c_keeps_what_has_come_and_stops_the_engine(run_cli: Cli, talks: Path, server: ChatServer) -> None:
    server.says(piece("Hm.\n</think>\n\nSo far"), HANG)
    process = run_cli.start("ask", talks / "a.flac", "--endpoint", server.url)
    assert process.stdout is not None
    assert process.stdout.read(6) == "So far"
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert server.gone.wait(10)


def test_ctrl_c_ends_a_folder_with_several_at_a_time(run_cli: Cli, talks: Path, server: ChatServer) -> None:
    server.says(HANG)
    process = run_cli.start("ask", talks, "--endpoint", server.url, "-o", run_cli.folder / "out", "--jobs", "2")
    deadline = time.monotonic() + 60
    while len(server.requests) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert server.gone.wait(10)
    assert process.stderr is not None
    assert "0 of 2 are done; the same command goes on with the rest" in process.stderr.read()
    assert not (run_cli.folder / "out").exists()


# ---- folders


@pytest.mark.parametrize("words", ["Let me listen.", "Let me listen.\n</think>\n\nword1"])
def test_an_answer_that_was_cut_off_is_no_result(
    ask: Any, talks: Path, run_cli: Cli, server: ChatServer, words: str
) -> None:
    server.answers(lambda _: [piece(words), *finish("length")])
    out = run_cli.folder / "out"
    done = ask(talks, "--task", "transcribe", "-o", out)
    assert done.code == 7
    assert "a.flac: " in done.stderr
    assert "cut off" in done.stderr
    assert not out.exists()


def test_a_thinking_that_used_up_the_tokens_is_no_answer(
    ask: Any, talks: Path, run_cli: Cli, server: ChatServer
) -> None:
    server.answers(lambda _: [piece("Let me listen."), *finish("length")])
    done = ask(talks / "a.flac", "What is said?", "-o", run_cli.folder / "answer.txt")
    assert (done.code, done.stdout) == (7, "")
    assert "cut off in its thinking" in done.stderr
    assert sorted(path.name for path in run_cli.folder.iterdir() if path.is_file()) == []


@pytest.mark.parametrize("jobs", ["1", "4"])
def test_a_folder_is_heard_file_by_file(ask: Any, talks: Path, run_cli: Cli, jobs: str) -> None:
    out = run_cli.folder / "out"
    done = ask(talks, "--task", "transcribe", "-o", out, "--jobs", jobs)
    assert done.code == 0, done.stderr
    assert {str(path.relative_to(out)): path.read_text() for path in out.rglob("*") if path.is_file()} == {
        "a.flac.txt": "word1 word2 word3\n",
        "deep/b.bin.txt": "word4 word5\n",
    }
    assert "other files, without sound: 2" in done.stderr


def test_what_has_a_result_is_not_asked_about_again(ask: Any, talks: Path, run_cli: Cli, server: ChatServer) -> None:
    out = run_cli.folder / "out"
    (out / "deep").mkdir(parents=True)
    (out / "deep" / "b.bin.md").write_text("mine")
    done = ask(talks, "-o", out)
    assert (done.code, len(server.requests)) == (0, 1)
    assert (out / "deep" / "b.bin.md").read_text() == "mine"
    assert "1 had results already" in done.stderr
    assert ask(talks, "-o", out, "--force").code == 0
    assert (out / "deep" / "b.bin.md").read_text() == "word4 word5\n"


def test_what_failed_is_listed_and_the_rest_is_done(ask: Any, talks: Path, run_cli: Cli) -> None:
    (talks / "broken.mp3").write_bytes(b"no sound")
    done = ask(talks, "-o", run_cli.folder / "out", "--json")
    assert done.code == 2
    assert done.json["done"] == ["a.flac", "deep/b.bin"]
    assert [failure["sound"] for failure in done.json["failed"]] == ["broken.mp3"]
    assert (run_cli.folder / "out" / "a.flac.json").exists()
    assert "broken.mp3 cannot be heard" in done.stderr


def test_without_an_endpoint_a_folder_is_given_up(run_cli: Cli, talks: Path, server: ChatServer) -> None:
    for number in range(9):
        soundfile.write(talks / f"more{number}.wav", speech([1]), RATE)
    server.refuses(503, {"error": {"message": "busy"}})
    done = run_cli("ask", talks, "--endpoint", server.url, "-o", run_cli.folder / "out", "--json")
    assert done.code == 7
    assert len(done.json["failed"]) == 3
    assert done.json["not_asked"] == 8


def test_an_endpoint_that_is_too_slow_is_given_up_too(ask: Any, talks: Path, run_cli: Cli, server: ChatServer) -> None:
    for number in range(3):
        soundfile.write(talks / f"more{number}.wav", speech([1]), RATE)
    server.says(HANG)
    done = ask(talks, "-o", run_cli.folder / "out", "--json", "--timeout", "0.2")
    assert (done.code, len(done.json["failed"]), done.json["not_asked"]) == (5, 3, 2)


def test_a_result_that_cannot_be_written_is_that_files_failure(ask: Any, talks: Path, run_cli: Cli) -> None:
    (talks / "a.flac").rename(talks / f"{'x' * 250}.flac")
    out = run_cli.folder / "out"
    out.mkdir()
    (out / "deep").write_text("in the way")
    soundfile.write(talks / f"{'音' * 80}.wav", speech([1]), RATE)
    done = ask(talks, "-o", out, "--json")
    assert done.json["done"] == [f"{'音' * 80}.wav"]
    assert [failure["error"]["code"] for failure in done.json["failed"]] == ["refused", "invalid-settings"]
    assert (out / f"{'音' * 80}.wav.json").exists()


@pytest.mark.parametrize("results", ["talks", ".", "talks/deep/.."])
def test_results_do_not_go_among_the_sounds(ask: Any, talks: Path, results: str, server: ChatServer) -> None:
    done = ask("talks", "-o", results)
    assert (done.code, server.requests) == (2, [])
    assert "holds the sounds themselves" in done.stderr


@pytest.mark.parametrize("words", [("talks",), ("talks", "talks/a.flac", "-o", "out"), ("talks", "-o", "talks/a.flac")])
def test_a_folder_needs_a_folder_for_its_results(
    ask: Any, talks: Path, words: tuple[str, ...], server: ChatServer
) -> None:
    assert ask(*words).code == 2
    assert server.requests == []
