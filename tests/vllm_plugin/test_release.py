"""Which releases of vLLM the plugin is made for."""

from __future__ import annotations

import pytest

from stepaudio_serve.vllm_plugin.release import SUPPORTED, is_supported, refusal


@pytest.mark.parametrize("version", ["0.31.0", "0.32.0", "0.32.0+cpu", "0.33.1", "0.33.0rc1", "0.33"])
def test_supported(version: str) -> None:
    assert is_supported(version)


@pytest.mark.parametrize("version", ["0.10.1.1", "0.30.2", "0.34.0", "1.32.0", "0.1.dev1+g9ecabf22", "dev", "", "0"])
def test_refused(version: str) -> None:
    assert not is_supported(version)


def test_the_refusal_says_what_is_supported_and_what_this_is() -> None:
    first, last = SUPPORTED
    assert refusal("0.21.0").endswith(f"supports vLLM {first} to {last}; this is vLLM 0.21.0")
