"""The generation config stops the engine where the checkpoint's tokenizer says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.facts import checkpoint

from stepaudio_serve.plan.generation_config import generation_config


def config(**changes: Any) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(generation_config(checkpoint(**changes)))
    return written


def test_r1_stops_at_its_three_end_tokens_and_samples_as_recommended() -> None:
    assert config() == {"temperature": 0.7, "repetition_penalty": 1.0, "eos_token_id": [151643, 151645, 151665]}


def test_the_ids_are_the_tokenizers_own() -> None:
    assert config(stop_ids=(("<|EOT|>", 7),))["eos_token_id"] == [7]


@pytest.mark.parametrize("own", [5, [5]])
def test_what_the_checkpoint_names_itself_is_kept(own: object) -> None:
    written = config(stop_ids=(("<|EOT|>", 7),), generation_config={"eos_token_id": own, "top_p": 0.9})
    assert written["eos_token_id"] == [5, 7]
    assert written["top_p"] == 0.9


def test_an_id_is_named_once() -> None:
    assert config(generation_config={"eos_token_id": [151665]})["eos_token_id"] == [151665, 151643, 151645]


def test_a_checkpoint_without_end_tokens_gets_none() -> None:
    assert "eos_token_id" not in config(stop_ids=())


def test_before_there_is_a_checkpoint_r1s_ids_are_assumed() -> None:
    assert config(exists=False, stop_ids=())["eos_token_id"] == [151643, 151645, 151665]
