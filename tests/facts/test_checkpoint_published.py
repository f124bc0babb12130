"""Of well-known repositories the published figures are known before any of it is on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.checkpoints import fabricate

from stepaudio_serve.facts.checkpoint import AudioShape, Checkpoint, TextShape, Weights, find_checkpoint
from stepaudio_serve.facts.checkpoint.published import published
from stepaudio_serve.settings.options import DEFAULT_MODEL

if TYPE_CHECKING:
    from pathlib import Path

AS_FABRICATED = {
    "Firworks/Step-Audio-R1-nvfp4": "r1-nvfp4",
    "stepfun-ai/Step-Audio-R1": "r1-bf16",
    "stepfun-ai/Step-Audio-R1.1": "r1.1-bf16",
}


def find(model: str | Path, home: Path) -> Checkpoint:
    return find_checkpoint(str(model), models_dir=home / "models", hub_cache=home / "hub")


def test_the_default_model_is_a_known_one() -> None:
    assert DEFAULT_MODEL in published()


@pytest.mark.parametrize("repository", list(published()))
def test_a_known_repository_that_is_not_here_has_its_published_shape(repository: str, tmp_path: Path) -> None:
    found = find(repository, tmp_path)
    assert (found.exists, found.published, found.is_repository) == (False, True, True)
    assert found.problem == "is not on this disk"
    assert isinstance(found.text, TextShape)
    assert isinstance(found.audio, AudioShape)
    assert found.architectures == ("StepAudio2ForCausalLM",)
    assert (found.stop_ids, found.code, found.faults) == ((), (), ())


@pytest.mark.parametrize("repository", AS_FABRICATED)
def test_published_figures_are_those_of_such_a_checkpoint(repository: str, tmp_path: Path) -> None:
    known, made = find(repository, tmp_path), find(fabricate(tmp_path / "r1", AS_FABRICATED[repository]), tmp_path)
    assert (known.text, known.audio) == (made.text, made.audio)
    assert known.quantization.kind == made.quantization.kind
    assert known.quantization.high_precision == made.quantization.high_precision
    assert known.weights is not None
    assert made.weights is not None
    assert known.weights.split == pytest.approx(made.weights.split, rel=0.001)
    assert known.weights.whole == pytest.approx(made.weights.whole, rel=0.005)


def test_a_size_that_is_not_published_is_not_made_up(tmp_path: Path) -> None:
    assert find("TransWithAI/Step-Audio-R1-NVFP4A16", tmp_path).weights is None


def test_the_minis_size_is_the_published_one(tmp_path: Path) -> None:
    weights = find("stepfun-ai/Step-Audio-2-mini", tmp_path).weights
    assert isinstance(weights, Weights)
    assert weights.total == 17_900_000_000


def test_what_is_on_the_disk_is_believed_instead(tmp_path: Path) -> None:
    fabricate(tmp_path / "models" / DEFAULT_MODEL, "tiny")
    found = find(DEFAULT_MODEL, tmp_path)
    assert not found.published
    assert found.weights_bytes < 10_000_000


def test_of_any_other_repository_nothing_is_known(tmp_path: Path) -> None:
    found = find("Org/Other", tmp_path)
    assert (found.published, found.text, found.weights) == (False, None, None)
