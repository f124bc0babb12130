"""The phases of a start, as both generations of the engine tell them.

The logs of vLLM 0.32 were recorded; StepFun's is put together from what its source prints.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepaudio_serve.startup.phases import INITIAL, Phase, Progress, advance

LOGS = Path(__file__).parent / "logs"
ORDER = {phase: place for place, phase in enumerate(Phase)}
STEPFUN = (LOGS / "stepfun.log").read_text(encoding="utf-8").split("\n")
EAGER = (LOGS / "vllm-0.32-eager.log").read_text(encoding="utf-8").split("\n")
COMPILED = (LOGS / "vllm-0.32-compiled.log").read_text(encoding="utf-8").split("\n")


def course(lines: list[str], start: Progress = INITIAL) -> list[Progress]:
    """Every state on the way, once."""
    states = [start]
    for line in lines:
        after = advance(states[-1], line)
        if after is not states[-1]:
            states.append(after)
    return states


def phases(lines: list[str]) -> list[str]:
    return list(dict.fromkeys(str(state.phase) for state in course(lines)))


def after(*lines: str) -> Progress:
    return course(list(lines))[-1]


def test_stepfuns_engine_goes_through_every_phase() -> None:
    assert phases(STEPFUN) == [str(phase) for phase in Phase if ORDER[phase] <= ORDER[Phase.READY]]


def test_a_current_vllm_without_a_gpu_skips_what_it_does_not_do() -> None:
    assert phases(EAGER) == ["created", "starting", "resolving", "loading", "kv-cache", "serving", "ready"]
    assert "compiling" in phases(COMPILED)


def test_each_step_is_told_in_words() -> None:
    told = [state.detail for state in course(STEPFUN)]
    for words in (
        "starting vLLM 0.1.dev8932+g9ecabf22f",
        "reading the configuration of StepAudio2ForCausalLM",
        "loading weights 40 %",
        "weights loaded, 20.6 GiB",
        "measuring how much memory the work needs",
        "compiling",
        "KV cache 18,320 tokens",
        "capturing CUDA graphs 12/67",
        "starting the server",
    ):
        assert words in told


def test_the_share_done_is_known_while_weights_load_and_graphs_are_captured() -> None:
    shares = {
        phase: [state.percent for state in course(STEPFUN) if state.phase is phase and state.percent is not None]
        for phase in (Phase.LOADING, Phase.COMPILING, Phase.CAPTURING)
    }
    assert shares == {Phase.LOADING: [0, 20, 40, 60, 80, 100], Phase.COMPILING: [], Phase.CAPTURING: [0, 18, 100]}


def test_what_stepfuns_engine_reports_is_kept() -> None:
    assert course(STEPFUN)[-1].facts == {
        "version": "0.1.dev8932+g9ecabf22f",
        "architecture": "StepAudio2ForCausalLM",
        "max_model_len": 16384,
        "weights_seconds": 6.24,
        "weights_gib": 20.6046,
        "compile_seconds": 45.79,
        "kv_gib": 4.47,
        "kv_tokens": 18320,
        "concurrency": 1.12,
        "captured": 67,
        "graphs": 67,
        "capture_seconds": 6.0,
        "graphs_gib": 0.74,
        "init_seconds": 64.81,
    }


def test_what_a_current_vllm_reports_is_kept() -> None:
    facts = course(EAGER)[-1].facts
    assert facts["version"] == "0.32.0"
    assert facts["kv_tokens"] == 4194304
    assert facts["concurrency"] == 1024.0
    assert isinstance(facts["init_seconds"], float)


@pytest.mark.parametrize("lines", [STEPFUN, EAGER, COMPILED], ids=["stepfun", "eager", "compiled"])
def test_a_healthy_start_knows_no_fatal_line(lines: list[str]) -> None:
    assert all("fatal" not in state.facts for state in course(lines))


def test_a_tag_in_front_of_a_line_does_not_matter() -> None:
    line = "(EngineCore pid=9) INFO 09-22 01:00:59 [monitor.py:53] [backbone] torch.compile took 14.85 s in total"
    assert after(line) == Progress(Phase.COMPILING, "compiled in 15 s", None, {"compile_seconds": 14.85})


def test_a_line_that_says_nothing_new_changes_nothing() -> None:
    progress = after("Starting to load model /m...")
    assert advance(progress, "INFO:     Started server process [1]") is progress
    assert advance(progress, "Starting to load model /m...") is progress
    assert advance(progress, "") is progress


def test_a_phase_is_never_left_for_an_earlier_one_but_facts_are_taken() -> None:
    progress = after("Capturing CUDA graphs (decode, FULL): 100%|███| 4/4", "Available KV cache memory: 6.13 GiB")
    assert progress.phase is Phase.CAPTURING
    assert progress.detail == "capturing CUDA graphs 4/4"
    assert progress.facts["kv_gib"] == 6.13


@given(st.lists(st.sampled_from([line for line in STEPFUN + EAGER + COMPILED if "version" not in line])))
def test_no_order_of_lines_leads_backwards(lines: list[str]) -> None:
    assert all(ORDER[one.phase] <= ORDER[other.phase] for one, other in pairwise(course(lines)))


def test_a_new_run_in_the_same_log_starts_over() -> None:
    again = course(STEPFUN[:5], course(STEPFUN)[-1])
    assert again[-1].phase is Phase.RESOLVING
    assert "kv_tokens" not in again[-1].facts


def test_a_quoted_line_is_not_taken_for_the_engines_own() -> None:
    quoted = "INFO 08-29 03:13:26 [logger.py:41] Received request: prompt: 'Application startup complete'"
    assert advance(INITIAL, quoted) is INITIAL


def test_a_known_fatal_line_is_noted_without_a_verdict() -> None:
    progress = after(
        "Starting to load model /m...", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1 GiB."
    )
    assert progress.phase is Phase.LOADING
    assert progress.facts["fatal"] == "gpu-out-of-memory"
    assert "fatal" not in after("ValueError: harmless").facts


def test_progress_is_a_value_that_advancing_leaves_alone() -> None:
    before = Progress(Phase.LOADING, "loading weights", None, MappingProxyType({"weights_gib": 20.6}))
    advance(before, "GPU KV cache size: 18,320 tokens")
    assert before.facts == {"weights_gib": 20.6}


@given(st.text())
def test_any_line_can_be_read(line: str) -> None:
    advance(INITIAL, line)


# ---- the plugin

HEAD = "11-29 13:00:00 [register.py:49]"
PLUGIN = f"INFO {HEAD} Step-Audio plugin 0.1.0 for vLLM 0.32.0: StepAudio2ForCausalLM is registered"
REFUSED = f"ERROR {HEAD} Step-Audio plugin 0.1.0 supports vLLM 0.31 to 0.33; this is vLLM 0.21.0"


def test_the_plugins_line_is_a_fact_and_no_phase() -> None:
    assert after(PLUGIN) == Progress(Phase.CREATED, "", None, {"plugin": "0.1.0"})
    assert advance(course(EAGER)[-1], f"(EngineCore pid=9) {PLUGIN}").phase is Phase.READY


@pytest.mark.parametrize("log", [EAGER, STEPFUN], ids=["banner", "version line"])
def test_it_stands_before_the_first_line_of_its_run_and_is_kept(log: list[str]) -> None:
    facts = course([PLUGIN, *log])[-1].facts
    assert facts["plugin"] == "0.1.0"
    assert facts["version"]


def test_a_plugin_that_refuses_this_vllm_is_not_taken_for_one_that_is_there() -> None:
    refused = after(REFUSED)
    assert "plugin" not in refused.facts
    assert refused.facts["fatal"] == "plugin-unsupported-vllm"


def test_a_request_that_quotes_the_line_is_not_the_plugin() -> None:
    quoted = f"INFO 08-29 03:13:26 [logger.py:41] Received request: prompt: '{PLUGIN}'"
    assert advance(INITIAL, quoted) is INITIAL
