"""NVFP4 checkpoints in vLLM, by its own emulation on a CPU: they answer what plain PyTorch computes from the same file.

`support/nvfp4` packs the reference checkpoint as llm-compressor does; compressed-tensors is the witness that it does.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import support.nvfp4
from support.nvfp4.names import is_ignored
from support.step_audio.recorded import CLIPS

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
ENTRY_POINT = "[vllm.general_plugins]\nnvfp4_on_a_cpu = nvfp4_emulation:register\n"
TOLERANCE = 1e-4
"""Of log-probabilities. Measured: 3e-6 (W4A4) and 2e-5 (A16); float32 in another order. One activation that is rounded
to another FP4 value makes a difference of about 1, and what is not quantised at all is 1 to 7 away."""

ATTENTION = [f"model.layers.{number}.self_attn.{part}_proj" for number in (0, 1) for part in "qkvo"]
PERCEPTRON = [f"model.layers.{number}.mlp.{part}_proj" for number in (0, 1) for part in ("gate", "up", "down")]
AUDIO = [
    *(f"encoder.blocks.{number}.{part}" for number in (0, 1) for part in ("mlp.0", "mlp.2")),
    *(f"encoder.blocks.{number}.attn.{part}" for number in (0, 1) for part in ("query", "key", "value", "out")),
    *(f"adapter.linear{number}" for number in (1, 2)),
]
PUBLISHED = ["lm_head", *AUDIO]
LAYERS = [*PUBLISHED, *ATTENTION, *PERCEPTRON]
ATTENTION_HERE = {
    f"language_model.model.layers.{n}.self_attn.{part}" for n in (0, 1) for part in ("qkv_proj", "o_proj")
}
PERCEPTRON_HERE = {
    f"language_model.model.layers.{n}.mlp.{part}" for n in (0, 1) for part in ("gate_up_proj", "down_proj")
}
"""As vLLM calls them, which computes some as one."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How one is quantised, and the layers that vLLM has to compute from FP4 then."""

    ignore: list[str]
    fp4: set[str]
    activations: bool = True


NAMES = Checkpoint(PUBLISHED, ATTENTION_HERE | PERCEPTRON_HERE)
NAMES_AND_ATTENTION = Checkpoint([*PUBLISHED, *ATTENTION], PERCEPTRON_HERE)
CHECKPOINTS = {
    "W4A4, names": NAMES,
    "W4A4, names, attention left out": NAMES_AND_ATTENTION,
    "W4A4, loose regular expressions, attention left out": Checkpoint(
        ["lm_head", "re:.*encoder.*", "re:.*adapter.*", "re:.*self_attn.*"], PERCEPTRON_HERE
    ),
    "W4A4, regular expressions of whole names, attention left out": Checkpoint(
        [r"re:model\.layers\.\d+\.self_attn\..*", r"re:encoder\..*", r"re:adapter\..*", "re:^lm_head$"], PERCEPTRON_HERE
    ),
    "A16, names": Checkpoint(NAMES.ignore, NAMES.fp4, activations=False),
    "A16, names, attention left out": Checkpoint(
        NAMES_AND_ATTENTION.ignore, NAMES_AND_ATTENTION.fp4, activations=False
    ),
}
KERNELS = {True: "EmulationNvFp4LinearKernel", False: "UnpackingKernel"}


@pytest.fixture(scope="module")
def run(
    vllm_python: Path, with_plugin: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script of this folder where vLLM finds our plugin, and the one for tests in the same way."""
    emulation = tmp_path_factory.mktemp("emulation")
    (emulation / "nvfp4_emulation.py").symlink_to(Path(support.nvfp4.__path__[0]) / "emulation_plugin.py")
    about = emulation / "nvfp4_emulation-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: nvfp4_emulation\nVersion: 0.1.0\n")
    (about / "entry_points.txt").write_text(ENTRY_POINT)
    path = os.pathsep.join((with_plugin["PYTHONPATH"], str(emulation), str(HERE.parent)))
    environment = {**with_plugin, "PYTHONPATH": path}

    def ran(script: str, task: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        command = [str(vllm_python), str(HERE / script), json.dumps(task or {})]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)

    return ran


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


# ---- in the engine


@pytest.fixture(scope="module", params=CHECKPOINTS)
def served(request, run, tmp_path_factory) -> tuple[Checkpoint, dict[str, Any]]:
    """A checkpoint, and what the engine and PyTorch answered from it."""
    checkpoint = CHECKPOINTS[request.param]
    folder = tmp_path_factory.mktemp("packed") / "checkpoint"
    task = {"folder": str(folder), "ignore": checkpoint.ignore, "activations": checkpoint.activations}
    return checkpoint, answer(run("nvfp4_in_vllm.py", task))


def test_what_is_quantised_is_computed_from_fp4_and_nothing_else(served) -> None:
    checkpoint, report = served
    kernels = dict.fromkeys(checkpoint.fp4, KERNELS[checkpoint.activations])
    assert report["layers"] == {name: kernels.get(name, "torch.float32") for name in report["layers"]}
    assert kernels.keys() <= report["layers"].keys()
    assert len(report["layers"]) == len(AUDIO) + len(ATTENTION_HERE | PERCEPTRON_HERE) + 1


def test_the_engine_answers_what_pytorch_does(served) -> None:
    _, report = served
    assert {clip: far for clip, far in report["from the reference"].items() if far > TOLERANCE} == {}
    assert report["greedy"] == report["reference greedy"]


def test_quantisation_makes_a_difference(served) -> None:
    _, report = served
    assert min(report["from unquantised"].values()) > 1000 * TOLERANCE
    assert all(report["greedy"][clip] != report["unquantised greedy"][clip] for clip in CLIPS)


OUTPUT_PROJECTION = [*PUBLISHED, "model.layers.0.self_attn.o_proj"]
FUSED_PROJECTIONS = [*PUBLISHED, *(f"model.layers.0.self_attn.{part}_proj" for part in "qkv")]
REFUSALS = {
    "packed, but ignored": (
        PUBLISHED,
        OUTPUT_PROJECTION,
        "ValueError: There is no module or parameter named 'layers.0.self_attn.o_proj.input_global_scale'",
    ),
    "not packed, and not ignored": (
        OUTPUT_PROJECTION,
        PUBLISHED,
        "ValueError: There is no module or parameter named 'layers.0.self_attn.o_proj.weight'",
    ),
    "not packed, and not ignored, computed with others": (
        FUSED_PROJECTIONS,
        PUBLISHED,
        "AttributeError: 'QKVParallelLinear' object has no attribute 'data'",
    ),
    "one of those that are computed together ignored": (
        FUSED_PROJECTIONS,
        FUSED_PROJECTIONS[:-2],
        "ValueError: Found different quantization schemes for the shards of language_model.model.layers.0.self_attn.",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_an_ignore_list_that_is_not_the_file_s_ends_the_start(run, tmp_path: Path, case: str) -> None:
    ignored, told, words = REFUSALS[case]
    task = {"folder": str(tmp_path / "checkpoint"), "ignore": ignored, "told": told, "activations": True}
    done = run("nvfp4_in_vllm.py", task)
    assert done.returncode != 0
    assert words in done.stderr


def test_a_packed_checkpoint_that_lacks_a_tensor_ends_the_start_and_answers_no_nonsense(run, tmp_path: Path) -> None:
    lacks = "model.layers.0.mlp.down_proj.weight_scale"
    task = {"folder": str(tmp_path / "checkpoint"), "ignore": PUBLISHED, "activations": True, "lacks": lacks}
    done = run("nvfp4_in_vllm.py", task)
    assert done.returncode != 0
    assert f"ValueError: the checkpoint has no tensors for language_model.{lacks}" in done.stderr


# ---- names

ENTRIES = [
    "encoder.blocks.1.attn.out",
    "model.layers.0.self_attn.q_proj",
    r"re:model\.layers\.\d+\.self_attn\..*",
    r"re:^model\.layers\.[01]\.mlp",
    "re:model.layers.0.*",
    "re:.*self_attn.*",
    "re:.*(q|k|v)_proj$",
    "re:^lm_head$",
    "re:lm_head",
    r"re:(^lm_head$|^encoder\..*|^model\.layers\.1\.)",
    "re:^(?!model).*",
    "re:^(?!.*mlp).*$",
    r"re:[^m].*",
    r"re:\^model|[]^x]del|.*query",
    "re:(?i)ENCODER.*",
    r"re:language_model\..*",
    r"re:layers\.0\..*",
]


@pytest.fixture(scope="module")
def matched(run) -> dict[str, list[str]]:
    """For each entry, the layers that the plugin and vLLM take it for."""
    task = {"entries": ENTRIES, "layers": LAYERS}
    return dict(zip(ENTRIES, answer(run("nvfp4_names_in_vllm.py", task)), strict=True))


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_means_in_the_engine_the_layers_that_it_meant_when_the_checkpoint_was_packed(
    matched, entry: str
) -> None:
    assert matched[entry] == [layer for layer in LAYERS if is_ignored(layer, [entry])]


# ---- the witness


@pytest.fixture(scope="module")
def beside_library(run) -> dict[str, Any]:
    return answer(run("nvfp4_beside_compressed_tensors.py"))


def test_weights_are_packed_byte_for_byte_as_compressed_tensors_does(beside_library) -> None:
    same = {"weight_packed": 0, "weight_scale": 0, "weight_global_scale": 0}
    assert beside_library["weights"] == dict.fromkeys(("ties and zeros", *LAYERS), same)


def test_activations_are_rounded_as_compressed_tensors_does(beside_library) -> None:
    assert beside_library["activations"] == {"numbers": 6400, "different": 0}


def test_compressed_tensors_reads_nvfp4_in_the_settings(beside_library) -> None:
    assert beside_library["settings"] == {"W4A4": ["weights", "input_activations"], "A16": ["weights"]}
