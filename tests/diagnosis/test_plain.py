"""A line is read the same whatever printed or collected it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepaudio_serve.diagnosis import plain, split_level

SAID = "GPU KV cache size: 18,320 tokens"


@pytest.mark.parametrize(
    "line",
    [
        SAID,
        f"INFO 08-29 03:13:26 [kv_cache_utils.py:849] {SAID}",
        f"(EngineCore_0 pid=44) INFO 08-29 03:13:26 [kv_cache_utils.py:849] {SAID}",
        f"(Worker_TP0 pid=447) INFO 08-14 14:07:22 [v1/core/kv_cache_utils.py:849] {SAID}",
        f"(EngineCore pid=7 rank=0) INFO 08-29 03:13:26 [kv_cache_utils.py:849] {SAID}",
        f"\x1b[1;36m(EngineCore_0 pid=44)\x1b[0;0m INFO 08-29 03:13:26 [kv_cache_utils.py:849] {SAID}",
        f"2026-07-08T22:40:05.705951537Z (EngineCore pid=542) INFO 07-08 22:40:05 [a.py:1] {SAID}",
        f"[2025-08-12T08:42:32Z] (EngineCore_0 pid=13564) INFO 08-12 01:42:32 [a.py:1] {SAID}",
        f"vllm-1  | (EngineCore_0 pid=44) INFO 08-29 03:13:26 [a.py:1] {SAID}",
        f"Aug 29 03:13:26 box step-audio[812]: (EngineCore_0 pid=44) INFO 08-29 03:13:26 [a.py:1] {SAID}",
        f"Loading: 1%\rLoading: 2%\r(EngineCore_0 pid=44) INFO 08-29 03:13:26 [a.py:1] {SAID}\r",
    ],
)
def test_decoration_is_taken_off(line: str) -> None:
    assert plain(line) == SAID


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("(EngineCore_0 pid=44) ERROR 08-29 03:13:26 [core.py:700] it broke", "ERROR"),
        ("WARNING 08-29 03:13:26 [core.py:700] it may break", "WARNING"),
        ("INFO:     Application startup complete.", "INFO"),
        ("ERROR:    Exception in ASGI application", "ERROR"),
        ("ERROR is what this line begins with", ""),
        ("Traceback (most recent call last):", ""),
    ],
)
def test_the_level_is_the_one_that_the_line_declares(line: str, level: str) -> None:
    assert split_level(line)[0] == level


def test_text_in_parentheses_that_names_no_process_stays() -> None:
    assert plain("(see above) it broke") == "(see above) it broke"


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    plain(text)
