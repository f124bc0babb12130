"""Where chat templates come from."""

from __future__ import annotations

import hashlib

import pytest

from stepaudio_serve.errors import SettingsError
from stepaudio_serve.plan.chat_template import BUILTIN, load_template


def test_the_official_template_is_the_text_on_the_model_card() -> None:
    source = load_template("official").source.encode()
    assert len(source) == 1694
    assert hashlib.sha256(source).hexdigest() == "f14bcdf9b8d799915408dc77c19037f813946f1a974d0608d95520ab5002529e"


@pytest.mark.parametrize("name", BUILTIN)
def test_a_built_in_is_loaded_by_name_with_the_file_it_stands_in(name: str) -> None:
    template = load_template(name)
    assert template.name == name
    assert template.path is not None
    assert template.path.read_text(encoding="utf-8") == template.source


def test_any_other_name_is_a_path(tmp_path, monkeypatch) -> None:
    (tmp_path / "my template ü.jinja").write_text("Grüße {{ messages }}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    template = load_template("my template ü.jinja")
    assert template.source == "Grüße {{ messages }}"
    assert template.path == tmp_path / "my template ü.jinja"


def test_a_file_called_like_a_built_in_needs_a_path(tmp_path, monkeypatch) -> None:
    (tmp_path / "official").write_text("mine", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_template("./official").source == "mine"
    assert load_template("official").source != "mine"


@pytest.mark.parametrize(
    ("wanted", "offered"),
    [
        ("oficial", "official"),
        ("step-audio-r2", "step-audio-r1"),
        ("xyz", "step-audio-r1"),
        ("no/such/x", "step-audio-r1"),
    ],
)
def test_an_unknown_name_offers_the_nearest_built_in(wanted: str, offered: str) -> None:
    with pytest.raises(SettingsError, match=f"no template '{wanted}'") as caught:
        load_template(wanted)
    assert caught.value.fix == f"Use {offered}"
    assert "step-audio-r1, official" in caught.value.why


def test_a_misspelt_path_offers_the_nearest_file(tmp_path) -> None:
    (tmp_path / "interview.jinja").touch()
    with pytest.raises(SettingsError) as caught:
        load_template(str(tmp_path / "intervew.jinja"))
    assert caught.value.fix == f"Use {tmp_path / 'interview.jinja'}"


def test_a_folder_is_not_a_template(tmp_path) -> None:
    with pytest.raises(SettingsError, match="cannot be read") as caught:
        load_template(str(tmp_path))
    assert caught.value.why == "Is a directory."


def test_a_template_must_be_utf_8(tmp_path) -> None:
    (tmp_path / "latin.jinja").write_bytes("Gr\xfc\xdfe".encode("latin-1"))
    with pytest.raises(SettingsError, match="not UTF-8") as caught:
        load_template(str(tmp_path / "latin.jinja"))
    assert caught.value.why == "Byte 2 cannot be decoded."
