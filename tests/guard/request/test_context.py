from __future__ import annotations

import asyncio
import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.preparing import Engine

from stepaudio_serve.guard.refusal import RefusedError
from stepaudio_serve.guard.request.context import Allowance, Prompt, allow, audio_tokens, text_bound

COUNT_REQUEST = {"messages": []}


def allowance(
    asked: int | None,
    *,
    most: int | None = None,
    bound: int = 200,
    audio: int = 0,
    engine: Engine | None = None,
) -> Allowance:
    return asyncio.run(allow(asked, most, Prompt(bound, audio, COUNT_REQUEST), engine or Engine(1000, 50)))


def notice(result: Allowance) -> str:
    return dict(result.notices)[b"x-stepaudio-notice"].decode()


class TestAudioTokens:
    @pytest.mark.parametrize(("samples", "patches"), [(16000, 13), (400000, 313), (479680, 375)])
    def test_a_clip_takes_what_the_engine_gives_it_and_its_marks(self, samples: int, patches: int) -> None:
        assert patches + 2 <= audio_tokens([samples / 16000]) <= patches + 4

    def test_clips_add_up(self) -> None:
        assert audio_tokens([1.0, 25.0]) == audio_tokens([1.0]) + audio_tokens([25.0])
        assert audio_tokens([]) == 0


class TestTextBound:
    @given(st.lists(st.text(max_size=20), max_size=4))
    def test_it_is_never_below_the_bytes_that_the_tokenizer_sees(self, texts: list[str]) -> None:
        seen = unicodedata.normalize("NFC", "".join(texts)).encode()
        assert text_bound(texts, 1) >= len(seen)

    def test_every_message_adds_what_the_template_writes_around_it(self) -> None:
        template = "<|BOT|>assistant\n<|EOT|>"
        assert text_bound([], 5) - text_bound([], 4) >= template.count("<") + 2

    def test_text_that_normalising_makes_longer(self) -> None:
        assert text_bound(["\U0001d160" * 100], 0) >= 1200

    @pytest.mark.timeout(10)
    def test_a_tower_of_accents_takes_no_time_with_their_square(self) -> None:
        assert text_bound(["a" + "\u0315\u0300" * 100_000], 1) >= 400_000


class TestWhatFits:
    def test_silence_is_left_to_the_engine(self) -> None:
        assert allowance(None) == Allowance(None)

    def test_what_surely_fits_is_left_alone_and_nothing_counted(self) -> None:
        engine = Engine(1000, 50)
        assert allowance(800, bound=200, engine=engine) == Allowance(800)
        assert engine.counted == []

    def test_what_may_not_fit_is_counted(self) -> None:
        engine = Engine(1000, 50)
        assert allowance(950, bound=200, engine=engine) == Allowance(950)
        assert engine.counted == [COUNT_REQUEST]

    def test_to_the_last_token(self) -> None:
        assert allowance(850, bound=9999, audio=100) == Allowance(850)
        assert allowance(851, bound=9999, audio=100).notices

    def test_an_engine_that_does_not_say_its_context_decides_itself(self) -> None:
        assert allowance(10**9, engine=Engine(None)) == Allowance(10**9)


class TestWhatDoesNot:
    def test_it_is_lowered_to_what_is_left_and_said(self) -> None:
        result = allowance(32000, audio=100)
        assert result.tokens is not None
        assert 800 <= result.tokens <= 1000 - 50 - 100
        assert dict(result.notices)[b"x-stepaudio-max-tokens"] == str(result.tokens).encode()
        assert notice(result) == f"max_tokens lowered from 32000 to {result.tokens}: the context holds 1000 tokens"

    @given(
        asked=st.integers(1, 3000),
        tokens=st.integers(0, 1200),
        audio=st.integers(0, 1200),
        most=st.none() | st.integers(1, 3000),
    )
    def test_prompt_and_answer_never_exceed_the_context(
        self, asked: int, tokens: int, audio: int, most: int | None
    ) -> None:
        try:
            result = allowance(asked, most=most, bound=tokens, audio=audio, engine=Engine(1000, tokens))
        except RefusedError:
            assert tokens + audio >= 1000
            return
        assert result.tokens is not None
        assert 1 <= result.tokens <= min(asked, most or math.inf)
        assert result.tokens + tokens + audio <= 1000
        assert bool(result.notices) is (result.tokens < asked)

    @pytest.mark.parametrize(("tokens", "audio"), [(1000, 0), (50, 950), (5000, 0)])
    def test_no_room_at_all_is_refused(self, tokens: int, audio: int) -> None:
        with pytest.raises(RefusedError) as caught:
            allowance(10, bound=9999, audio=audio, engine=Engine(1000, tokens))
        refusal = caught.value.refusal
        assert (refusal.status, refusal.code) == (400, "context_length_exceeded")
        assert f"the text takes {tokens} and the audio {audio}" in refusal.message

    def test_the_last_token_is_given(self) -> None:
        assert allowance(100, bound=9999, engine=Engine(1000, 999)).tokens == 1


class TestAnEngineThatCannotCount:
    def test_the_bound_is_used(self) -> None:
        result = allowance(32000, bound=200, audio=100, engine=Engine(1000, None))
        assert result.tokens == 700
        assert notice(result).endswith("1000 tokens, and the prompt's text was estimated, not counted")

    def test_where_the_bound_says_nothing_the_engine_decides(self) -> None:
        assert allowance(500, bound=5000, engine=Engine(1000, None)) == Allowance(500)


class TestTheServersLimit:
    def test_more_is_lowered_and_said(self) -> None:
        result = allowance(500, most=100)
        assert result.tokens == 100
        assert notice(result) == "max_tokens lowered from 500 to 100: this server gives 100 tokens at most"

    def test_it_holds_for_the_silent_too(self) -> None:
        assert allowance(None, most=100) == Allowance(100)

    def test_and_gives_way_to_the_context_without_a_word_to_who_asked_nothing(self) -> None:
        result = allowance(None, most=5000)
        assert result.tokens is not None
        assert result.tokens <= 950
        assert result.notices == ()
