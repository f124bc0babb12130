"""Results as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepaudio_serve.client.results import files_below, must_not_exist, result_of, write_whole
from stepaudio_serve.errors import SettingsError


def test_a_file_is_never_written_over_unless_told_to(tmp_path: Path) -> None:
    path = tmp_path / "answer.txt"
    must_not_exist(path, force=False)
    path.write_text("mine")
    with pytest.raises(SettingsError, match="exists") as caught:
        must_not_exist(path, force=False)
    assert caught.value.fix == "--force"
    must_not_exist(path, force=True)


def test_a_place_where_nothing_can_be_written_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no folder"):
        must_not_exist(tmp_path / "absent" / "answer.txt", force=False)
    with pytest.raises(SettingsError, match="is a folder"):
        must_not_exist(tmp_path, force=True)


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "answer.txt"
    write_whole(path, "wörds\n")
    assert path.read_text("utf-8") == "wörds\n"
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half" * 100_000 + "\ud800")
    assert path.read_text("utf-8") == "wörds\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_result_is_called_as_its_sound() -> None:
    assert result_of(Path("in/a/talk.m4a"), Path("in"), Path("out"), ".txt") == Path("out/a/talk.m4a.txt")


def test_hidden_files_and_results_are_not_looked_at(tmp_path: Path) -> None:
    for name in ("b.wav", "a/c.wav", ".hidden", ".git/x", "out/b.wav.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in files_below(tmp_path, without=tmp_path / "out")]
    assert found == ["a/c.wav", "b.wav"]
