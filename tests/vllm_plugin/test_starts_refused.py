"""What does not fit ends the start of the real engine, with words of the plugin's own."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, TypeAlias

import pytest
from support.step_audio.recorded import CHECKPOINT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Start: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def start(vllm_python: Path, with_plugin: dict[str, str], free_port: int) -> Start:
    """`start(folder)` starts an engine that is to end by itself."""

    def run(model: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        where = ("--host", "127.0.0.1", "--port", str(free_port))
        command = [vllm_python.with_name("vllm"), "serve", model, *where, "--enforce-eager", "--max-model-len", "1024"]
        return subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=240,
            env=with_plugin | environment,
        )

    return run


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A copy to spoil."""
    shutil.copytree(CHECKPOINT, tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def header(weights: bytes) -> tuple[dict[str, dict[str, object]], bytes]:
    size = int.from_bytes(weights[:8], "little")
    return json.loads(weights[8 : 8 + size]), weights[8 + size :]


def rename(checkpoint: Path, names: Mapping[str, str]) -> None:
    """Give tensors other names; the header of a safetensors file is JSON."""
    file = checkpoint / "model.safetensors"
    tensors, data = header(file.read_bytes())
    renamed = json.dumps({names.get(name, name): told for name, told in tensors.items()}).encode()
    file.write_bytes(len(renamed).to_bytes(8, "little") + renamed + data)


def test_a_tensor_that_belongs_to_no_part_is_named(start: Start, checkpoint: Path) -> None:
    rename(checkpoint, {"encoder.conv1.weight": "listener.conv1.weight"})
    ended = start(checkpoint)
    assert ended.returncode != 0
    assert "the checkpoint's tensor 'listener.conv1.weight' belongs to no part of a StepAudio2 model" in ended.stdout


def test_a_tensor_that_is_missing_is_named(start: Start, checkpoint: Path) -> None:
    rename(checkpoint, {"adapter.conv.weight": "adapter.of_no_use.bias"})
    ended = start(checkpoint)
    assert ended.returncode != 0
    # vLLM passes over biases that it does not know from 0.32 on
    lacks = "the checkpoint has no tensors for adapter.conv.weight"
    assert lacks in ended.stdout or "no module or parameter named 'adapter.of_no_use'" in ended.stdout


def test_a_tokenizer_of_another_model_is_told(start: Start, checkpoint: Path) -> None:
    file = checkpoint / "tokenizer.json"
    file.write_text(file.read_text().replace('"<audio_start>"', '"<sound_start>"'))
    (checkpoint / "tokenizer_config.json").write_text("{}")
    ended = start(checkpoint)
    assert ended.returncode != 0
    assert "the checkpoint's tokenizer has no token <audio_start>: it is not a Step-Audio tokenizer" in ended.stdout


def test_an_unsupported_vllm_refuses_the_model_with_words(
    start: Start, plugin_folder: Path, tmp_path: Path, vllm_python: Path, with_plugin: dict[str, str]
) -> None:
    of_another_time = tmp_path / "plugin"
    shutil.copytree(plugin_folder, of_another_time, copy_function=shutil.copyfile)
    release = of_another_time / "stepaudio_vllm" / "release.py"
    release.parent.chmod(0o755)
    release.write_text(release.read_text().replace('SUPPORTED = ("', 'SUPPORTED = ("0.1", "0.2")  # ("'))
    ended = start(CHECKPOINT, PYTHONPATH=str(of_another_time))
    assert ended.returncode != 0
    assert "Step-Audio plugin 0.1.0 supports vLLM 0.1 to 0.2; this is vLLM 0." in ended.stdout
    others = (
        "from vllm.plugins import load_general_plugins as load; load(); from transformers import Qwen2Config as Q; Q()"
    )
    environment = with_plugin | {"PYTHONPATH": str(of_another_time)}
    assert subprocess.run([vllm_python, "-c", others], env=environment, check=False, timeout=120).returncode == 0


def test_without_the_plugin_vllm_does_not_know_the_model(start: Start) -> None:
    ended = start(CHECKPOINT, PYTHONPATH="")
    assert ended.returncode != 0
    assert "Step-Audio plugin" not in ended.stdout
    assert "configuration_step_audio_2" in ended.stdout or "custom code" in ended.stdout
