"""How much fits into one request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepaudio_serve.client.fitting import answer_room, packed, seconds_that_fit, text_tokens
from stepaudio_serve.errors import SettingsError


def test_what_the_default_context_holds() -> None:
    assert 900 < seconds_that_fit(16384, "What do you hear?") < 980
    assert 650 < seconds_that_fit(16384, "Write it down.", answer_tokens_per_second=5) < 700


def test_a_large_context_holds_what_a_request_of_the_guard_holds() -> None:
    assert seconds_that_fit(131072, "?") == 1200


def test_what_the_user_allows_for_the_answer_is_kept_for_it() -> None:
    assert seconds_that_fit(16384, "?", max_tokens=1000) > seconds_that_fit(16384, "?")
    assert answer_room(16384, None) == 4096
    assert answer_room(4096, 32000) == 2048


@pytest.mark.parametrize(("context", "prompt"), [(1024, "?"), (16384, "long " * 5000)])
def test_less_than_a_minute_is_refused(context: int, prompt: str) -> None:
    with pytest.raises(SettingsError, match=f"a context of {context} tokens"):
        seconds_that_fit(context, prompt)


@given(context=st.integers(4096, 131072), prompt=st.text(max_size=500), each=st.floats(0, 10))
def test_audio_prompt_and_answer_never_exceed_the_context(context: int, prompt: str, each: float) -> None:
    seconds = seconds_that_fit(context, prompt, answer_tokens_per_second=each)
    clips = seconds / 20
    assert seconds * (12.5 + each) + 2 * clips + text_tokens(prompt) + answer_room(context, None) <= context


@given(st.lists(st.integers(1, 50)), st.integers(10, 100))
def test_groups_keep_the_order_and_fit(sizes: list[int], room: int) -> None:
    groups = packed(sizes, lambda size: size, room)
    assert [size for group in groups for size in group] == sizes
    assert all(sum(group) <= room or len(group) == 1 for group in groups)
