from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from stepaudio_serve import Settings
from stepaudio_serve.guard.config import GuardConfig, Limits, read_config
from stepaudio_serve.plan.guard import LIMITS, guard_environment

THINKING = "{% if add_generation_prompt %}<|BOT|>assistant\n<think>\n{% endif %}"


def variables(template: str = THINKING, key_file: str | None = None, **settings: Any) -> dict[str, str]:
    return guard_environment(Settings(**settings), files="/opt/stepaudio", key_file=key_file, chat_template=template)


def test_by_default_it_is_told_only_where_its_modules_are_and_to_stay_on_one_core() -> None:
    assert variables() == {"PYTHONPATH": "/opt/stepaudio", "OPENBLAS_NUM_THREADS": "1"}


def test_without_a_guard_there_is_nothing_to_tell() -> None:
    assert variables(guard=False, guard_max_tokens=5, key_file="/keys") == {}


def test_the_key_file_is_named() -> None:
    assert variables(key_file="/run/key")["STEPAUDIO_GUARD_API_KEY_FILE"] == "/run/key"


@pytest.mark.parametrize("switch", ["page", "metrics", "separate_thinking"])
def test_what_is_switched_off_is_said(switch: str) -> None:
    told = variables(**{f"guard_{switch}": False})
    assert getattr(read_config(told), switch) is False
    assert getattr(GuardConfig(), switch) is True


def test_a_template_without_thinking_has_none_to_separate() -> None:
    assert read_config(variables("{{ messages }}")).separate_thinking is False


def test_origins_reach_the_guard() -> None:
    told = variables(guard_cors_origins="https://a.example,http://b.example:8080")
    assert read_config(told).cors_origins == ("https://a.example", "http://b.example:8080")


@pytest.mark.parametrize("name", LIMITS)
def test_every_limit_reaches_the_guard(name: str) -> None:
    limit = {"guard_max_choices": "choices"}.get(name, name.removeprefix("guard_max_"))
    assert getattr(read_config(variables(**{name: 7})).limits, limit) == 7


def test_settings_and_guard_have_the_same_defaults() -> None:
    settings, limits = Settings(), dataclasses.asdict(Limits())
    said = {name.removeprefix("guard_max_"): getattr(settings, name) for name in LIMITS}
    assert {name: None if value == "auto" else value for name, value in said.items()} == {
        name: limits[name] for name in said
    }
