from __future__ import annotations

from typing import Any

import pytest
from support.preparing import COMPLETIONS, TOKENIZE, Engine, input_audio, limited, prepared, question, refusal, sent

from stepaudio_serve.guard.config import GuardConfig


class TestCompletions:
    @pytest.mark.parametrize(
        ("prompt", "harmless"),
        [("a <|EOT|>", "a < |EOT|>"), (["<audio_patch>", "b"], ["< audio_patch>", "b"])],
    )
    def test_prompts_pass_harmless(self, prompt: Any, harmless: Any) -> None:
        assert sent({"prompt": prompt}, COMPLETIONS) == {"prompt": harmless}

    @pytest.mark.parametrize("prompt", [[1, 2], [[1, 2]], ["a", 1], [None]])
    def test_token_ids_are_no_text(self, prompt: Any) -> None:
        result = refusal({"prompt": prompt}, COMPLETIONS)
        assert (result.code, result.param) == ("unsupported_prompt", "prompt")

    @pytest.mark.parametrize("prompt", [None, 1, {}, [], ["a"] * 5])
    def test_there_is_one_prompt_or_a_few(self, prompt: Any) -> None:
        assert refusal({"prompt": prompt}, COMPLETIONS).param == "prompt"

    def test_prompts_are_bounded_together(self) -> None:
        config = limited(text_characters=10)
        prepared({"prompt": ["aaaaa", "aaaaa"]}, COMPLETIONS, config=config)
        assert refusal({"prompt": ["aaaaa", "aaaaaa"]}, COMPLETIONS, config=config).code == "text_too_long"

    def test_the_answer_is_plain_text_and_may_stream(self) -> None:
        result = prepared({"prompt": "a", "stream": True}, COMPLETIONS)
        assert (result.path, result.thinking, result.stream) == (COMPLETIONS, "raw", True)

    def test_stop_tokens_and_sampling_are_filled_in(self) -> None:
        config = GuardConfig(stop_token_ids=(7,), sampling={"temperature": 0.7})
        request = sent({"prompt": "a"}, COMPLETIONS, config=config)
        assert request == {"prompt": "a", "stop_token_ids": [7], "temperature": 0.7}

    def test_the_longest_prompt_decides_how_much_fits(self) -> None:
        engine = Engine(1000, 400)
        request = sent({"prompt": ["a", "aaa", "é"], "max_tokens": 2000}, COMPLETIONS, engine=engine)
        assert engine.counted == [{"prompt": "aaa"}]
        assert request["max_tokens"] <= 600

    def test_embeddings_are_refused(self) -> None:
        assert refusal({"prompt": "a", "prompt_embeds": "AAAA"}, COMPLETIONS).param == "prompt_embeds"


class TestTokenize:
    def test_text_is_counted_as_it_would_be_asked(self) -> None:
        assert sent({"prompt": "<|EOT|>"}, TOKENIZE) == {"prompt": "< |EOT|>"}
        assert sent(question("<|EOT|>", role="human"), TOKENIZE) == question("< |EOT|>")

    def test_the_answer_is_left_alone(self) -> None:
        result = prepared({"prompt": "a", "return_token_strs": True}, TOKENIZE)
        assert (result.path, result.thinking, result.stream) == (TOKENIZE, "raw", False)

    @pytest.mark.parametrize("request_", [{}, {**question("a"), "prompt": "a"}])
    def test_it_is_a_prompt_or_messages(self, request_: dict[str, Any]) -> None:
        assert refusal(request_, TOKENIZE).code == "invalid_combination"

    def test_audio_is_not_counted(self) -> None:
        result = refusal(question(input_audio(b"sound")), TOKENIZE)
        assert (result.code, result.param) == ("audio_not_counted", "messages[0].content[0]")

    def test_long_text_is_refused(self) -> None:
        assert refusal({"prompt": "a" * 11}, TOKENIZE, config=limited(text_characters=10)).code == "text_too_long"
