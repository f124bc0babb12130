"""Run by a Python that has vLLM, with the plugin on its path: one measurement, printed as a line of JSON.

measure.py front-end         processor seconds of log-mel for the longest clip, on one thread
measure.py load MODULE       processor seconds of loading vLLM's plugins in a process that has imported MODULE
measure.py inspect MODEL     the same and the import of MODEL, in the process where vLLM looks at a model's class
measure.py encoder [LAYERS]  encoder and adaptor, clips one at a time and as one padded batch, in turn
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGE = "stepaudio_vllm"
BANDS, FRAMES, MOST_SAMPLES = 128, 3000, 479_680
CLIPS, PAIRS = 32, 3
WIDTH, HEADS, LANGUAGE_WIDTH = 1280, 20, 5120
"""Step-Audio-R1's. Of its 32 layers a CPU does few: all are alike."""


# ---- loading


def load(*modules: str) -> dict[str, float]:
    """Seconds of vLLM's loading of plugins once the first module is there, and of importing the others."""
    first, *others = modules
    importlib.import_module(first)
    from vllm.plugins import load_general_plugins

    began = time.process_time()
    load_general_plugins()
    for module in others:
        importlib.import_module(module)
    return {"seconds": time.process_time() - began}


# ---- front end


def front_end() -> dict[str, float]:
    import torch

    torch.set_num_threads(1)
    log_mel = importlib.import_module(f"{PACKAGE}.mel").log_mel
    clip = torch.randn(MOST_SAMPLES, generator=torch.Generator().manual_seed(0)).numpy() / 10
    taken = [seconds(lambda: log_mel(clip, BANDS)) for _ in range(31)]
    return {"seconds": statistics.median(taken[1:]), "clip": MOST_SAMPLES / 16_000}


def seconds(work: Callable[[], object]) -> float:
    """Processor time of all threads: neighbours on the machine do not count."""
    began = time.process_time()
    work()
    return time.process_time() - began


# ---- encoder


def encoder(layers: int) -> dict[str, Any]:
    """Clips of the longest length, and clips from 1 s on, evenly spread, padded to the longest."""
    import torch

    torch.set_num_threads(1)
    mixed = [100 + (FRAMES - 100) * number // (CLIPS - 1) for number in range(CLIPS)]
    with modules(layers) as (ours, adaptor), torch.inference_mode():
        return {
            "layers": layers,
            "equal": in_turn(ours, adaptor, [FRAMES] * CLIPS),
            "mixed": in_turn(ours, adaptor, mixed),
        }


@contextmanager
def modules(layers: int) -> Iterator[tuple[Any, Any]]:
    """Encoder and adaptor in bfloat16 with random weights, as vLLM has them once a checkpoint is loaded."""
    import torch
    from vllm.config import VllmConfig, set_current_vllm_config
    from vllm.distributed.parallel_state import init_distributed_environment, initialize_model_parallel
    from vllm.plugins import load_general_plugins

    load_general_plugins()  # the test bed's own asks the kernel for AMX
    parts = importlib.import_module(f"{PACKAGE}.encoder")
    config = importlib.import_module(f"{PACKAGE}.config").StepAudio2EncoderConfig(
        n_audio_state=WIDTH, n_audio_head=HEADS, n_audio_layer=layers
    )
    with set_current_vllm_config(VllmConfig()), tempfile.NamedTemporaryFile() as rendezvous:
        init_distributed_environment(1, 0, f"file://{rendezvous.name}", 0, "gloo")
        initialize_model_parallel(1, 1)
        torch.set_default_dtype(torch.bfloat16)
        torch.manual_seed(0)
        made = parts.AudioEncoder(config, None, "encoder"), parts.Adaptor(config, LANGUAGE_WIDTH, None, "adapter")
        for layer in (layer for part in made for layer in part.modules()):
            fill(layer)
        yield made
        torch.distributed.destroy_process_group()


def fill(layer: Any) -> None:
    """vLLM's linear layers are empty until a checkpoint fills them, and are then made ready for the processor."""
    import torch

    method = getattr(layer, "quant_method", None)
    if method is None:
        return
    for weights in layer.parameters(recurse=False):
        torch.nn.init.normal_(weights, std=0.02)
    method.process_weights_after_loading(layer)


def in_turn(encoder: Any, adaptor: Any, lengths: list[int]) -> dict[str, Any]:
    """Processor seconds of both ways, pair by pair, and how far apart the longest clip's embeddings are."""
    import torch

    mels = [torch.randn(length, BANDS).bfloat16() for length in lengths]
    padded = torch.nn.utils.rnn.pad_sequence(mels, batch_first=True)
    last = {}

    def one_at_a_time() -> None:
        last["one"] = [adaptor(encoder(mel)) for mel in mels][-1]

    def as_a_batch() -> None:
        last["batch"] = batched(encoder, adaptor, padded)[-1]

    adaptor(encoder(mels[-1]))
    pairs = [(seconds(one_at_a_time), seconds(as_a_batch)) for _ in range(PAIRS)]
    return {"pairs": pairs, "apart": float((last["one"] - last["batch"]).abs().max())}


def batched(encoder: Any, adaptor: Any, mels: Any) -> Any:
    """The fork's way, `[clips, frames, bands]` at once, through the same layers and without a mask."""
    from torch.nn.functional import gelu, relu

    hidden = gelu(encoder.conv2(gelu(encoder.conv1(mels.transpose(1, 2))))).transpose(1, 2).contiguous()
    hidden = hidden + encoder.positional_embedding.weight[: hidden.shape[1]]
    for block in encoder.blocks:
        hidden = block(hidden)
    hidden = encoder.after_norm(encoder.avg_pooler(hidden.transpose(1, 2)).transpose(1, 2))
    hidden = gelu(adaptor.conv(hidden.transpose(1, 2))).transpose(1, 2).contiguous()
    return adaptor.linear2(relu(adaptor.linear1(hidden)))


def main() -> None:
    logging.disable(logging.WARNING)
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    what, *arguments = sys.argv[1:]
    if what == "encoder":
        told = encoder(int(arguments[0]) if arguments else 1)
    elif what == "front-end":
        told = front_end()
    else:
        registry = ["vllm.model_executor.models.registry"] if what == "inspect" else []
        told = load(*registry, *arguments)
    print(f"\n{json.dumps(told)}")


if __name__ == "__main__":
    main()
