from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from stepaudio_serve.guard import API_KEY_FILE, METRICS, GuardConfig, GuardConfigError, read_config
from stepaudio_serve.guard.config import PREFIX, SAMPLING, STOP_TOKEN_IDS

if TYPE_CHECKING:
    from pathlib import Path


def test_an_empty_environment_asks_for_no_key_and_serves_metrics() -> None:
    assert read_config({}) == GuardConfig(keys=None, metrics=True)


def test_the_keys_come_from_the_file_that_the_environment_names(tmp_path: Path) -> None:
    file = tmp_path / "clés et clefs.txt"
    file.write_bytes(b"secret\n")
    config = read_config({API_KEY_FILE: str(file)})
    assert config.keys is not None
    assert config.keys.accept(b"secret")


def test_a_missing_key_file_is_named_with_the_reason(tmp_path: Path) -> None:
    missing = tmp_path / "absent"
    with pytest.raises(GuardConfigError, match=r"absent .* No such file"):
        read_config({API_KEY_FILE: str(missing)})


def test_a_folder_in_place_of_the_key_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GuardConfigError, match="directory"):
        read_config({API_KEY_FILE: str(tmp_path)})


def test_a_key_file_without_a_key_is_named(tmp_path: Path) -> None:
    file = tmp_path / "empty-file"
    file.touch()
    with pytest.raises(GuardConfigError, match=r"empty-file .* no key"):
        read_config({API_KEY_FILE: str(file)})


def test_a_variable_that_is_set_but_empty_does_not_open_the_door() -> None:
    with pytest.raises(GuardConfigError, match=f"{API_KEY_FILE} is empty"):
        read_config({API_KEY_FILE: ""})


@pytest.mark.parametrize(("value", "served"), [("1", True), ("0", False)])
def test_metrics_are_switched_by_one_and_nought(value: str, served: bool) -> None:
    assert read_config({METRICS: value}).metrics is served


@pytest.mark.parametrize("value", ["", "true", "yes", "2", " 1"])
def test_any_other_switch_is_an_error_that_says_what_is_allowed(value: str) -> None:
    with pytest.raises(GuardConfigError, match=rf"{METRICS} .* 0 and 1"):
        read_config({METRICS: value})


def test_the_configuration_cannot_be_changed_once_read() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        GuardConfig().metrics = False  # type: ignore[misc]


def test_sampling_for_silent_requests() -> None:
    assert read_config({SAMPLING: '{"temperature": 0.7, "top_k": 20}'}).sampling == {"temperature": 0.7, "top_k": 20}


@pytest.mark.parametrize(
    "value",
    ["", "[]", "0.7", '{"temperature": NaN}', '{"top_p": 1e999}', '{"top_k": true}', '{"n": 2}', '{"max_tokens": 5}'],
)
def test_sampling_that_no_request_could_ask_for_is_an_error(value: str) -> None:
    with pytest.raises(GuardConfigError, match=SAMPLING):
        read_config({SAMPLING: value})


@pytest.mark.parametrize("name", [STOP_TOKEN_IDS, f"{PREFIX}MAX_TOKENS", f"{PREFIX}MAX_CHOICES"])
def test_a_number_of_thousands_of_digits_is_an_error_like_any_other(name: str) -> None:
    with pytest.raises(GuardConfigError, match=f"{name} is"):
        read_config({name: "9" * 5000})
