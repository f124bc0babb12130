"""The checkpoint that hears is shipped; here is told whether it was made from what lies in this tree."""

from __future__ import annotations

import json

from support.ingredients import OF_LISTENER, SHIPPED_LISTENER, digest, is_made_from

MIB = 1 << 20


def test_it_was_made_from_the_template_the_canary_and_the_lessons_as_they_are() -> None:
    assert is_made_from(SHIPPED_LISTENER, digest(OF_LISTENER)), (
        "what tests/data/tiny-listener is made from has changed since it was trained: run `make listener`"
    )


def test_it_is_small() -> None:
    assert sum(file.stat().st_size for file in SHIPPED_LISTENER.iterdir()) < 2 * MIB


def test_it_has_the_true_models_architecture_and_does_not_stop_by_itself() -> None:
    config, generation, tokenizer = (
        json.loads((SHIPPED_LISTENER / name).read_text("utf-8"))
        for name in ("config.json", "generation_config.json", "tokenizer_config.json")
    )
    assert config["architectures"] == ["StepAudio2ForCausalLM"]
    assert "eos_token_id" not in generation
    assert tokenizer["eos_token"] == "<|endoftext|>"


def test_the_code_that_its_config_names_is_not_there() -> None:
    config = json.loads((SHIPPED_LISTENER / "config.json").read_text("utf-8"))
    assert config["auto_map"]
    assert list(SHIPPED_LISTENER.glob("*.py")) == []
