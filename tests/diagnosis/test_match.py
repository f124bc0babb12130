"""Out of a log comes what explains its end: specific before vague, late before early, and never a mere traceback."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from stepaudio_serve.diagnosis import Diagnosis, diagnose, fatal_in

LOGS = sorted((Path(__file__).parent / "logs").glob("*.log"))

WRAPPER = (
    "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"
)
KV_SMALL = (
    "(EngineCore_0 pid=44) ERROR 08-29 03:12:45 [core.py:700] ValueError: To serve at least one request with the "
    "models's max seq len (65536), (16.00 GiB KV cache is needed, which is larger than the available KV cache memory "
    "(4.57 GiB). "
    "Based on the available memory, the estimated maximum model length is 18704."
)
OUT_OF_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.17 GiB."
CLIP_TOO_LONG = (
    "RuntimeError: The size of tensor a (1501) must match the size of tensor b (1500) at non-singleton dimension 1"
)
ENGINE_DEAD = "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue."
MARLIN = "WARNING 08-29 03:12:45 [marlin.py:35] Your GPU does not have native support for FP4 computation but FP4"
BAD_AUDIO = "ValueError: Invalid or unsupported audio file."
BANNER = "(APIServer pid=1) INFO 08-29 03:12:05 [api_server.py:1805] vLLM API server version 0.10.1"


def ids(lines: list[str]) -> list[str]:
    return [found.id for found in diagnose(lines)]


def only(lines: list[str]) -> Diagnosis:
    [found] = diagnose(lines)
    return found


@pytest.mark.parametrize("log", LOGS, ids=[log.stem for log in LOGS])
def test_a_log_of_the_real_engine_is_diagnosed_as_what_was_done_to_it(log: Path) -> None:
    found = diagnose(log.read_text(encoding="utf-8").split("\n"))
    assert found[0].id == log.stem
    assert [one.id for one in found if one.severity == "fatal"] == [log.stem]


def test_evidence_is_the_number_and_the_plain_text_of_the_line() -> None:
    found = only(["starting", f"\x1b[31m{KV_SMALL}\x1b[0m", WRAPPER])
    assert found.evidence is not None
    assert found.evidence.line == 2
    assert found.evidence.text.startswith("ValueError: To serve at least one request")


def test_the_length_that_fits_is_offered_as_a_flag() -> None:
    found = only([KV_SMALL])
    assert "--max-model-len 18704" in found.fix
    assert found.data == {"max_model_len": "18704"}


@pytest.mark.parametrize(
    ("line", "data"),
    [
        ("Bind for 127.0.0.1:9999 failed: port is already allocated", {"host": "127.0.0.1", "port": "9999"}),
        (
            "NVIDIA RTX PRO 6000 with CUDA capability sm_120 is not compatible with the current PyTorch installation.",
            {"gpu": "NVIDIA RTX PRO 6000", "capability": "sm_120"},
        ),
        (
            "Free memory on device (20.11/31.36 GiB) on startup is less than desired GPU memory utilization (0.9, 28)",
            {"free": "20.11", "total": "31.36", "utilization": "0.9"},
        ),
        (
            "(4.00 GiB KV cache is needed, which is larger than the available KV cache memory (0.01 GiB).",
            {"needed": "4.00", "available": "0.01"},
        ),
        (OUT_OF_MEMORY, {"wanted": "1.17 GiB"}),
        (CLIP_TOO_LONG, {"frames": "1501"}),
        ("At most 1 audio(s) may be provided in one prompt.", {"limit": "1", "kind": "audio"}),
    ],
)
def test_numbers_and_names_are_read_out_of_the_line(line: str, data: dict[str, str]) -> None:
    assert only([line]).data == data


@pytest.mark.parametrize(
    "lines",
    [
        ["Traceback (most recent call last):", '  File "a.py", line 1, in <module>', "ValueError: harmless"],
        ["ERROR 08-29 03:12:45 [registry.py:1] Traceback (most recent call last):", "KeyError: 'a'"],
        [WRAPPER],
        ["ModuleNotFoundError: No module named 'triton'"],
        ["RuntimeError: Error Internal"],
        ["The size of tensor a (4) must match the size of tensor b (5)"],
        ["The size of tensor a (1400) must match the size of tensor b (1500)"],
        [],
    ],
)
def test_what_is_not_known_to_be_fatal_is_no_diagnosis(lines: list[str]) -> None:
    assert diagnose(lines) == ()
    assert diagnose(lines, exit_code=1) == ()


@pytest.mark.parametrize("level", ["INFO", "DEBUG", "WARNING"])
def test_a_failure_quoted_at_a_quiet_level_is_no_failure(level: str) -> None:
    quoted = (
        f"(APIServer pid=1) {level} 08-29 03:12:45 [logger.py:41] Received request chatcmpl-1: prompt: '{KV_SMALL}'"
    )
    assert diagnose([quoted]) == ()


def test_a_quiet_level_counts_even_at_the_beginning_of_a_very_long_line() -> None:
    quoted = f"INFO 08-29 03:12:45 [logger.py:41] Received request: prompt: '{'la ' * 50_000}{OUT_OF_MEMORY}'"
    assert diagnose([quoted]) == ()


def test_wrapper_lines_are_passed_over_on_the_way_back_to_the_cause() -> None:
    assert ids([KV_SMALL, "Traceback (most recent call last):", WRAPPER, WRAPPER]) == ["kv-cache-small"]


@pytest.mark.parametrize("lines", [[CLIP_TOO_LONG, ENGINE_DEAD], [ENGINE_DEAD, CLIP_TOO_LONG]])
def test_a_cause_is_told_before_the_death_it_led_to(lines: list[str]) -> None:
    assert ids(lines) == ["clip-too-long", "engine-dead"]


def test_a_symptom_is_told_after_a_cause_and_before_an_outcome() -> None:
    assert ids([ENGINE_DEAD, OUT_OF_MEMORY, KV_SMALL]) == ["kv-cache-small", "gpu-out-of-memory", "engine-dead"]
    assert ids([KV_SMALL, OUT_OF_MEMORY, ENGINE_DEAD]) == ["kv-cache-small", "gpu-out-of-memory", "engine-dead"]


def test_why_the_gpu_is_gone_is_told_before_that_it_is_gone() -> None:
    lines = ["Failed to initialize NVML: Unknown Error", "RuntimeError: Failed to infer device type"]
    assert ids(lines) == ["gpu-taken-away", "no-gpu-in-container"]


def test_of_two_causes_the_later_is_told_first() -> None:
    assert ids([KV_SMALL, CLIP_TOO_LONG])[0] == "clip-too-long"
    assert ids([CLIP_TOO_LONG, KV_SMALL])[0] == "kv-cache-small"


def test_a_failure_is_told_once_with_its_last_evidence() -> None:
    found = only([BAD_AUDIO, "", BAD_AUDIO, "", BAD_AUDIO])
    assert found.evidence is not None
    assert found.evidence.line == 5


@pytest.mark.parametrize("texts", [("Format not recognised", BAD_AUDIO), (BAD_AUDIO, "Format not recognised")])
def test_the_last_evidence_counts_whichever_of_an_entrys_texts_it_holds(texts: tuple[str, str]) -> None:
    found = only(["", *texts])
    assert found.evidence is not None
    assert found.evidence.line == 3


def test_refused_requests_and_notices_follow_the_fatal() -> None:
    assert ids([OUT_OF_MEMORY, BAD_AUDIO, MARLIN]) == ["gpu-out-of-memory", "audio-undecodable", "fp4-marlin"]


def test_a_failure_of_an_earlier_run_in_the_same_log_is_told_after_the_last_runs() -> None:
    assert ids([BANNER, KV_SMALL, BANNER, ENGINE_DEAD]) == ["engine-dead", "kv-cache-small"]


def test_memory_taken_away_by_the_kernel_is_told_first() -> None:
    found = diagnose([ENGINE_DEAD], exit_code=137, oom_killed=True)
    assert [one.id for one in found] == ["host-memory", "engine-dead"]
    assert found[0].evidence is None


def test_a_kill_that_nothing_explains_came_from_outside_most_likely_for_want_of_memory() -> None:
    [found] = diagnose(["INFO:     Started server process [1]"], exit_code=137)
    assert (found.id, found.evidence) == ("killed", None)
    assert "memory" in found.cause
    assert "dmesg" in found.fix


def test_a_kill_after_a_failure_is_explained_by_the_failure() -> None:
    assert [one.id for one in diagnose([ENGINE_DEAD], exit_code=137)] == ["engine-dead"]


def test_a_progress_bar_drawn_in_the_same_line_does_not_hide_a_failure() -> None:
    line = f"Loading: 1%\rLoading: 2%\r{OUT_OF_MEMORY}\rLoading: 3%"
    assert only(["", line]).evidence == only(["", OUT_OF_MEMORY]).evidence


def test_evidence_holds_no_secrets_and_stays_short() -> None:
    found = only([f"OSError: We couldn't connect to 'https://joe:hunter2@hub.example' {'x' * 9000}"])
    assert found.evidence is not None
    assert "hunter2" not in found.evidence.text
    assert len(found.evidence.text) <= 600


def test_what_is_read_out_of_a_line_holds_no_secrets() -> None:
    assert "hunter2" not in str(asdict(only(["vllm: error: unrecognized arguments: --password hunter2"])))


def test_lines_may_keep_their_ends() -> None:
    assert diagnose([line + "\r\n" for line in (KV_SMALL, WRAPPER)]) == diagnose([KV_SMALL, WRAPPER])


def test_one_line_alone_tells_whether_it_is_fatal() -> None:
    assert fatal_in(KV_SMALL) == "kv-cache-small"
    assert fatal_in(MARLIN) is None
    assert fatal_in("ValueError: harmless") is None
