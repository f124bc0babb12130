"""What a line typed in `chat` means."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepaudio_serve.cli.chat_line import Attach, Command, Words, file_named, understand
from stepaudio_serve.errors import SettingsError


@pytest.fixture
def song(tmp_path: Path) -> Path:
    file = tmp_path / "my own song (1).mp3"
    file.touch()
    return file


def test_words_are_for_the_model() -> None:
    assert understand("  What's that? \n") == Words("What's that?")
    assert understand("first line\nsecond line") == Words("first line\nsecond line")


@pytest.mark.parametrize("line", ["", "   ", "\n"])
def test_an_empty_line_means_nothing(line: str) -> None:
    assert understand(line) is None


def test_a_command_has_the_rest_of_its_line() -> None:
    assert understand("/system  You are terse. ") == Command("/system", "You are terse.")
    assert understand("/bye") == Command("/bye")


def test_what_begins_with_a_slash_and_is_no_file_is_a_command_to_be_refused() -> None:
    assert understand("/nowhere/song.mp3") == Command("/nowhere/song.mp3")


def test_a_file_dragged_here_is_attached_however_the_terminal_writes_it(song: Path) -> None:
    escaped = str(song).replace(" ", "\\ ").replace("(", "\\(").replace(")", "\\)")
    for written in (str(song), f"'{song}'", f'"{song}" ', escaped):
        assert understand(written) == Attach((song,))
    assert understand(song.as_uri()) == Attach((song,))


def test_several_files_are_attached_together(song: Path, tmp_path: Path) -> None:
    other = tmp_path / "b.wav"
    other.touch()
    assert understand(f"'{song}' {other}") == Attach((song, other))


def test_a_file_within_a_sentence_is_part_of_the_sentence(song: Path) -> None:
    for words in (f"what is in '{song}'?", f"'{song}' is what?"):
        assert understand(words) == Words(words)


def test_a_file_at_home_may_be_written_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.wav").touch()
    assert understand("~/a.wav") == Attach((tmp_path / "a.wav",))
    assert understand("~nobody-of-that-name/a") == Words("~nobody-of-that-name/a")


@pytest.mark.parametrize("line", ["x" * 5000, "a\0b", "it's"])
def test_what_can_be_no_file_is_words(line: str) -> None:
    assert understand(line) == Words(line)


@pytest.mark.parametrize("line", ["my\\ own\\ son.mp3", "'my own song (1).mp3' nofile.WAV", "a.flac"])
def test_a_sound_that_is_not_there_is_no_question(line: str, song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(song.parent)
    with pytest.raises(SettingsError, match="there is no file") as caught:
        understand(line)
    assert caught.value.fix == ("/audio 'my own song (1).mp3'" if "son.mp3" in line else "/audio FILE")


def test_a_folder_is_no_sound(tmp_path: Path) -> None:
    assert understand(f"{tmp_path}") == Command(str(tmp_path))


def test_an_argument_names_a_file_whether_it_is_there_or_not(song: Path, tmp_path: Path) -> None:
    assert file_named(f"'{song}'") == song
    assert file_named("'two words.md'") == Path("two words.md")
    assert file_named("two words.md") == Path("two words.md")
    assert file_named("it's.md") == Path("it's.md")
