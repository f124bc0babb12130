"""What this plugin is called, which releases of vLLM it is made for, and the words that refuse the others."""

from __future__ import annotations

import re

PLUGIN_VERSION = "0.1.0"
PACKAGE = "stepaudio_vllm"
"""The name under which the package is put into an engine."""
ENTRY_POINT_NAME = "step_audio_2"
"""The plugin's name in vLLM's plugin group, as `VLLM_PLUGINS` lists it."""
ARCHITECTURE = "StepAudio2ForCausalLM"
MODEL_TYPE = "step_audio_2"
TOOL_CALL_PARSER = "step_audio_2"
REASONING_PARSER = "step_audio"
SUPPORTED = ("0.31", "0.33")
"""First and last minor release of vLLM that it is made for; docs/engine-images.md says what was run on which."""

_RELEASE = re.compile(r"(\d+)\.(\d+)(?:\D|$)")


def is_supported(version: str) -> bool:
    """Whether a version of vLLM, as it calls itself, is one that the plugin is made for.

    Builds that tell no release (`0.1.dev1+g...`) are not.
    """
    first, last = (_minor(release) for release in SUPPORTED)
    return first <= _minor(version) <= last


def refusal(version: str) -> str:
    """Why the plugin does not work in this vLLM, in words."""
    first, last = SUPPORTED
    return f"Step-Audio plugin {PLUGIN_VERSION} supports vLLM {first} to {last}; this is vLLM {version}"


def _minor(version: str) -> tuple[int, int]:
    found = _RELEASE.match(version)
    return (int(found[1]), int(found[2])) if found else (0, 0)
