"""Which key goes to which endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stepaudio_serve.cli.target import target_of

if TYPE_CHECKING:
    from pathlib import Path

FLAGS = {"name": None, "model": None, "max_tokens": None, "temperature": None, "timeout": None}


@pytest.mark.parametrize(
    ("endpoint", "environment", "key"),
    [
        ("http://nowhere.invalid", None, None),
        ("http://10.0.0.7:9999", None, None),
        ("http://nowhere.invalid", "sk-for-nowhere", "sk-for-nowhere"),
        ("http://127.0.0.1:9999", None, "sk-of-settings"),
        ("http://localhost:9999", None, "sk-of-settings"),
    ],
)
def test_a_key_of_a_file_of_settings_stays_on_this_machine(
    endpoint: str, environment: str | None, key: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    (tmp_path / "stepaudio.yaml").write_text("api_key: sk-of-settings\n")
    for name in ("STEPAUDIO_API_KEY", "STEPAUDIO_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    if environment:
        monkeypatch.setenv("STEPAUDIO_API_KEY", environment)
    assert target_of({**FLAGS, "endpoint": endpoint}).question.api_key == key
