"""The settings themselves: secrets, labels, flags, schema, profiles."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest

from stepaudio_serve.settings.declared import option, options
from stepaudio_serve.settings.engine_images import engine_image
from stepaudio_serve.settings.options import OWNED_ENGINE_FLAGS, Settings
from stepaudio_serve.settings.profiles import load_profile, profile_names
from stepaudio_serve.settings.sources import from_file, resolve

SECRET = "sk-very-secret"


def test_a_key_shows_nowhere() -> None:
    settings = Settings(api_key=SECRET)
    shown = [repr(settings), str(settings), settings.model_dump_json(), json.dumps(settings.to_label())]
    assert not any(SECRET in text for text in shown)
    assert settings.has_key


def test_a_wrong_key_does_not_show_either() -> None:
    with pytest.raises(ValueError, match=r"^api_key = \*{8} \(STEPAUDIO_API_KEY\)") as caught:
        resolve(environ={"STEPAUDIO_API_KEY": f"{SECRET} " + "é"})
    assert SECRET not in str(caught.value)


def test_the_label_brings_the_same_settings_back() -> None:
    settings = Settings(port=1234, gpus="0,1", engine_args=("--seed", "1"), api_key_file="key", guard=False)
    label = json.loads(json.dumps(settings.to_label()))
    assert Settings.model_validate(label) == settings
    assert label.keys() == {"port", "gpus", "engine_args", "api_key_file", "guard"}


def test_paths_are_absolute_so_that_a_restart_elsewhere_means_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    settings = Settings(api_key_file="key", models_dir="~/models")
    assert settings.api_key_file == Path.cwd() / "key"
    assert settings.models_dir == Path("/home/someone/models")


def test_a_name_for_this_machine_becomes_its_address() -> None:
    assert Settings(host="localhost").host == "127.0.0.1"


def test_gpu_ids_are_those_that_were_chosen() -> None:
    assert Settings(gpus="0,1").gpu_ids == ("0", "1")
    assert Settings(gpus="GPU-8b6a1c5e").gpu_ids == ("GPU-8b6a1c5e",)
    assert Settings(gpus="all").gpu_ids == Settings(gpus="none").gpu_ids == ()


def test_each_setting_has_one_flag_one_variable_and_one_help() -> None:
    declared = options()
    assert [item.name for item in declared] == list(Settings.model_fields)
    assert option("max_model_len").flag_name == "--max-model-len"
    assert option("max_model_len").variable == "STEPAUDIO_MAX_MODEL_LEN"
    assert all(item.help.endswith(".") for item in declared)
    assert {item.name for item in declared if item.flag is None} == {"engine_args", "recipe"}


def test_the_schema_covers_every_setting_and_nothing_else() -> None:
    schema = Settings.model_json_schema()
    assert schema["properties"].keys() == Settings.model_fields.keys()
    assert schema["additionalProperties"] is False
    assert "Raises" not in schema["description"]


def test_owned_engine_flags_name_settings() -> None:
    assert set(OWNED_ENGINE_FLAGS.values()) <= Settings.model_fields.keys()


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_is_valid(name: str, tmp_path: Path) -> None:
    assert load_profile(name).summary
    assert resolve(profile=name).settings != Settings()
    block = load_profile(name).text.partition("\nsettings:\n")[2].split("\n\n")[0]
    copy = tmp_path / "stepaudio.yaml"  # its settings can be pasted into a file
    copy.write_text(textwrap.dedent(block))
    assert from_file(copy).keys() == load_profile(name).settings.keys()


def test_known_images_are_pinned() -> None:
    for name in ("stepfun", "upstream", "rehearsal"):
        assert ":" in engine_image(name).image
        assert not engine_image(name).image.endswith(":latest")
