from __future__ import annotations

import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepaudio_serve.guard.request.special_tokens import neutralise, neutralise_followed, neutralise_tree

TOKENS = [
    "<|EOT|>",
    "<|BOT|>",
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<audio_patch>",
    "<audio_start>",
    "<audio_end>",
    "<audio_patch_pad>",
    "<audio_123>",
    "<tts_start>",
    "<tts_end>",
    "<tts_pad>",
    "<tool_call>",
    "</tool_call>",
]
THINKING = ["<think>", "</think>"]
FORBIDDEN = re.compile("|".join(map(re.escape, TOKENS)) + r"|<\|[^<>]*\|>|<audio_\d+>")
SCRAPS = [*TOKENS, *THINKING, "<", "|", ">", "/", "<|", "EOT", "|>", "<aud", "io_patch>", "audio_", "\u0338", "\u212a"]
TEXT = st.lists(st.sampled_from([*SCRAPS, " ", "a", "é", "\n"]) | st.text(max_size=3), max_size=12).map("".join)


@pytest.mark.parametrize("token", [*TOKENS, *THINKING])
class TestAToken:
    def test_it_becomes_text_that_still_reads_the_same(self, token: str) -> None:
        assert neutralise(f"say {token} now") == f"say < {token[1:]} now"

    @pytest.mark.parametrize("wrap", ["<{}", "{}>", "<{}>", "{0}{0}", "<|{}|>"])
    def test_it_does_not_hide_in_others(self, token: str, wrap: str) -> None:
        assert token not in neutralise(wrap.format(token))

    def test_nor_in_capitals(self, token: str) -> None:
        assert token.upper() not in neutralise(token.upper())

    def test_nor_across_any_two_texts(self, token: str) -> None:
        for at in range(1, len(token)):
            assert token not in neutralise_followed(token[:at]) + neutralise(token[at:])

    def test_nor_as_a_key(self, token: str) -> None:
        assert neutralise_tree({token: [{"a": token}]}) == {f"< {token[1:]}": [{"a": f"< {token[1:]}"}]}


class TestProperties:
    @given(TEXT)
    def test_no_token_survives(self, text: str) -> None:
        assert not FORBIDDEN.search(neutralise(text))

    @given(TEXT)
    def test_nor_does_one_arise_when_the_tokenizer_normalises(self, text: str) -> None:
        assert not FORBIDDEN.search(unicodedata.normalize("NFC", neutralise(text)))

    @given(st.lists(TEXT, min_size=1, max_size=5))
    def test_nor_when_texts_are_joined(self, texts: list[str]) -> None:
        kept = [text for text in texts if text]
        joined = "".join([*map(neutralise_followed, kept[:-1]), *map(neutralise, kept[-1:])])
        assert not FORBIDDEN.search(joined)

    @given(TEXT)
    def test_doing_it_twice_is_doing_it_once(self, text: str) -> None:
        assert neutralise(neutralise(text)) == neutralise(text)
        assert neutralise_followed(neutralise_followed(text)) == neutralise_followed(text)

    @given(TEXT)
    def test_only_spaces_are_added(self, text: str) -> None:
        assert neutralise_followed(text).replace(" ", "") == text.replace(" ", "")


class TestOrdinaryText:
    @pytest.mark.parametrize(
        "text", ["a < b", "<b>bold</b>", "1 <2", "x<y", "</html>", "<audio src='a.wav'>", "->", "<<", "<thinking>"]
    )
    def test_it_is_left_alone(self, text: str) -> None:
        assert neutralise(text) == text
        assert neutralise_followed(f"{text}.") == f"{text}."

    def test_values_that_are_no_text_stay(self) -> None:
        value: dict[str, Any] = {"a": [1, 2.5, True, None]}
        assert neutralise_tree(value) == value


class TestThinking:
    @pytest.mark.parametrize("mark", THINKING)
    def test_an_assistant_keeps_its_own_marks(self, mark: str) -> None:
        assert neutralise(f"{mark}x", keep_thinking=True) == f"{mark}x"

    def test_but_no_other_token(self) -> None:
        assert neutralise("<think><|EOT|>", keep_thinking=True) == "<think>< |EOT|>"
