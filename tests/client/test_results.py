"""Results as files."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from stepaudio_serve.client.results import files_below, must_not_exist, partial_of, result_of, write_whole
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
    with pytest.raises(SettingsError, match="too long"):
        must_not_exist(tmp_path / ("音" * 90), force=False)
    with pytest.raises(SettingsError, match="nothing can be written"):
        must_not_exist(Path("/proc/answer.txt"), force=False)
    must_not_exist(tmp_path / "answer.txt", force=False)
    assert list(tmp_path.iterdir()) == []


def test_a_device_is_no_place_for_an_answer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/null"), tmp_path / "pipe"):
        with pytest.raises(SettingsError, match="no regular file"):
            must_not_exist(path, force=True)


def test_a_link_stays_one(tmp_path: Path) -> None:
    link, path = tmp_path / "link", tmp_path / "answer.txt"
    link.symlink_to(path)
    write_whole(link, "first")
    with pytest.raises(SettingsError, match="exists"):
        must_not_exist(link, force=False)
    write_whole(link, "second")
    assert (link.is_symlink(), path.read_text()) == (True, "second")


def test_an_answer_that_broke_off_takes_no_place_of_another(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        names.append(partial_of(tmp_path / "a.md"))
        names[-1].touch()
    assert [name.name for name in names] == ["a.md.partial", "a.md.partial2", "a.md.partial3"]


def test_a_name_of_the_longest_kind_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("音" * 85)
    write_whole(path, "text")
    assert path.read_text() == "text"


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "answer.txt"
    write_whole(path, "wörds\n")
    assert path.read_text("utf-8") == "wörds\n"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write_whole(path, "half" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
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
