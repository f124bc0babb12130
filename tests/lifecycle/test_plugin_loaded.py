"""Whether the plugin was loaded: what the log and `/v1/models` tell, at the hand-off and after a failed start."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.checkpoints import fabricate

from stepaudio_serve import down, locate, status_of, up
from stepaudio_serve.diagnosis import diagnose
from stepaudio_serve.errors import EngineFailedError
from stepaudio_serve.lifecycle.doctor import doctor
from stepaudio_serve.lifecycle.plugin import Plugin, expects_plugin, plugin_in, with_plugin_told
from stepaudio_serve.lifecycle.status import closely
from stepaudio_serve.runtime.deployment import Deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from stepaudio_serve.settings.options import Settings

LINE = (
    "INFO 11-29 13:00:00 [register.py:40] Step-Audio plugin 0.1.0 for vLLM 0.32.0: StepAudio2ForCausalLM is registered"
)
BANNER = "(APIServer pid=1) INFO 11-29 13:00:01 [api_utils.py:347]  ▄▄ ▄█ █     █     █ ▀▄▀ █  version 0.32.0"
MISLEADING = (
    "ValueError: Loading /m requires you to execute the configuration file in that repo on your local machine.",
    # by vLLM 0.32.0 without the plugin
    "  | Value error, The repository /m contains custom code which must be executed to correctly load the model.",
    "Value error, Model architectures ['StepAudio2ForCausalLM'] are not supported for now. Supported architectures: x",
    "ValueError: it has model type `step_audio_2` but Transformers does not recognize this architecture.",
)
NOT_IMPORTED = "Failed to load plugin step_audio_2"  # plain, for vLLM 0.32 has not opened its log yet
ARGUMENTS = "(APIServer pid=1) INFO 11-29 13:30:00 [api_utils.py:286] non-default args: {'model_tag': '/m'}"


def deployment(engine: str = "vllm", **settings: Any) -> Deployment:
    given = {"engine_image": "upstream", **settings}
    return Deployment("r1", "docker", engine, "m", "http://127.0.0.1:1", "", "1", "exited", {}, given)  # type: ignore[arg-type]


# ---- who has it


@pytest.mark.parametrize(
    ("it", "expected"),
    [
        (deployment(), True),
        (deployment(image="mine:1", model="${STEPAUDIO_MODEL_DIR}"), True),  # as compose renders it
        (deployment(engine_image="stepfun"), False),
        (deployment(recipe="model-card"), False),
        (deployment(engine="rehearsal"), False),
        (deployment(engine_image="of another version"), False),
        (replace(deployment(), settings={}), False),
    ],
)
def test_a_deployments_settings_tell_whether_it_was_given_the_plugin(it: Deployment, expected: bool) -> None:
    assert expects_plugin(it) is expected


@pytest.mark.parametrize(
    ("facts", "plugin"),
    [
        ({"plugin": "0.1.0"}, Plugin("0.1.0", loaded=True)),
        ({"plugin": "0.1.0", "version": "0.32.0"}, Plugin("0.1.0", loaded=True)),
        ({"version": "0.32.0"}, Plugin(None, loaded=False)),
        ({"kv_tokens": 1}, Plugin(None, loaded=None)),  # the log's beginning is gone
        ({}, Plugin(None, loaded=None)),
    ],
)
def test_only_a_log_whose_beginning_was_seen_tells_that_it_is_missing(facts: dict[str, Any], plugin: Plugin) -> None:
    assert plugin_in(deployment(), facts) == plugin
    assert plugin_in(deployment(engine_image="stepfun"), facts) is None


def test_what_speaks_against_it_is_said_in_words() -> None:
    assert Plugin("0.1.0", loaded=True, listed=True).doubt == ""
    assert Plugin(None, loaded=None).doubt == ""
    assert "VLLM_PLUGINS" in Plugin(None, loaded=False).doubt
    assert "/v1/models" in Plugin("0.1.0", loaded=True, listed=False).doubt


# ---- a start that failed


def told(*lines: str, it: Deployment | None = None) -> list[str]:
    found = with_plugin_told(diagnose(lines, exit_code=1), it or deployment(), lines)
    return [diagnosis.id for diagnosis in found]


@pytest.mark.parametrize("line", MISLEADING)
def test_what_follows_from_a_missing_plugin_is_told_after_it(line: str) -> None:
    assert told(BANNER, line)[0] == "plugin-not-loaded"
    assert told(LINE, BANNER, line)[0] != "plugin-not-loaded"
    assert told(BANNER, line, it=deployment(engine_image="stepfun"))[0] != "plugin-not-loaded"


@pytest.mark.parametrize(
    ("line", "diagnosis"),
    [
        ("RuntimeError: No CUDA GPUs are available", "no-gpu-in-container"),
        ("Model architectures ['OtherForCausalLM'] are not supported for now. Supported architectures: x",
         "architecture-unsupported"),
        ("it has model type `other` but Transformers does not recognize this architecture.", "model-type-unknown"),
    ],
)  # fmt: skip
def test_another_failure_is_not_blamed_on_it(line: str, diagnosis: str) -> None:
    assert told(BANNER, line) == [diagnosis]


def test_code_that_vllm_asks_for_once_it_knows_the_model_is_something_else() -> None:
    resolved = "(APIServer pid=1) INFO 11-29 13:30:24 [model.py:733] Resolved architecture: StepAudio2ForCausalLM"
    assert told(BANNER, MISLEADING[1])[0] == "plugin-not-loaded"
    assert told(BANNER, resolved, MISLEADING[1]) == ["remote-code-off"]


def test_a_start_that_fails_without_a_known_cause_is_not_blamed_on_it() -> None:
    assert told(BANNER, "RuntimeError: planet Mars") == []


@pytest.mark.parametrize("line", MISLEADING)
def test_a_plugin_that_cannot_be_imported_is_told_by_vllms_own_line(line: str) -> None:
    found = diagnose([NOT_IMPORTED, BANNER, ARGUMENTS, line], exit_code=1)
    assert (found[0].id, found[0].evidence.line if found[0].evidence else None) == ("plugin-not-loaded", 1)
    assert told(NOT_IMPORTED, BANNER, ARGUMENTS, line).count("plugin-not-loaded") == 1


# ---- a real start, of a program that says what a vLLM with the plugin says, and serves what the rehearsal does


@pytest.fixture
def start(tmp_path: Path, rehearsal: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Settings whose engine is such a program; it is given the lines to begin with, and how it goes on."""
    monkeypatch.delenv("STEPAUDIO_REHEARSAL_LOAD_SECONDS")
    program = tmp_path / "bin" / "vllm"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    checkpoint = fabricate(tmp_path / "r1", "tiny")

    def configured(
        *lines: str, then: str = f'exec "{sys.executable}" -m stepaudio_serve.rehearsal', **more: Any
    ) -> Any:
        said = "".join(f"cat <<'END'\n{line}\nEND\n" for line in lines)
        serve = f'{then} "$@"' if then.startswith("exec") else then
        program.write_text(f"#!/bin/sh\nexport STEPAUDIO_REHEARSAL_LOAD_SECONDS=0.2\n{said}{serve}\n", "utf-8")
        program.chmod(0o755)
        wish = {"engine": "vllm", "engine_image": "upstream", "gpus": "none", "model": str(checkpoint), "canary": "off"}
        return rehearsal(**{"max_model_len": 4096, **wish, **more})

    yield configured
    down(*locate("step-audio-r1"), grace=0)


def test_the_hand_off_verifies_the_log_and_the_model_list(start: Callable[..., Settings]) -> None:
    launched = up(start(LINE, BANNER, api_key="k-1"))
    assert launched.status.plugin == Plugin("0.1.0", loaded=True, listed=True)
    assert launched.to_json()["plugin"] == {"version": "0.1.0", "loaded": True, "listed": True}
    again = up(start(LINE, BANNER, api_key="k-1"))
    assert (again.already, again.status.plugin) == (True, launched.status.plugin)


def test_an_engine_that_answers_without_it_is_handed_over_with_a_doubt(start: Callable[..., Settings]) -> None:
    settings = start(BANNER)
    launched = up(settings)
    assert launched.status.plugin == Plugin(None, loaded=False, listed=True)
    assert launched.status.health == "healthy"
    runtime, found = locate(settings.name)
    seen = closely(runtime, status_of(runtime, found))
    assert seen.to_json()["plugin"] == {"version": None, "loaded": False, "listed": None}
    findings = {finding.id: finding for finding in doctor(settings).findings}
    assert findings["plugin-loaded"].level == "warning"


def test_stepfuns_image_has_no_plugin_to_look_for(start: Callable[..., Settings]) -> None:
    launched = up(start(BANNER, engine_image="stepfun"))
    assert launched.status.plugin is None
    assert launched.to_json()["plugin"] is None


def test_a_start_that_fails_without_it_says_so_first(start: Callable[..., Settings]) -> None:
    with pytest.raises(EngineFailedError) as caught:
        up(start(BANNER, MISLEADING[3], then="exit 1"))
    assert "without the Step-Audio plugin" in caught.value.why
    assert "VLLM_PLUGINS" in caught.value.fix
    assert [item.id for item in caught.value.diagnoses] == ["plugin-not-loaded", "model-type-unknown"]


def test_a_start_that_the_plugin_refuses_says_which_versions_it_is_made_for(start: Callable[..., Settings]) -> None:
    refusal = "ValueError: Step-Audio plugin 0.1.0 supports vLLM 0.31 to 0.33; this is vLLM 0.21.0"
    with pytest.raises(EngineFailedError) as caught:
        up(start(BANNER, refusal, then="exit 1"))
    assert [item.id for item in caught.value.diagnoses] == ["plugin-unsupported-vllm"]
    assert "vLLM 0.31 to 0.33, and this is vLLM 0.21.0" in caught.value.why
