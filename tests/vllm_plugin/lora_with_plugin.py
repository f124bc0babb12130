"""Run by a Python that has vLLM, with the plugin on its path: a LoRA adapter beside the same weights merged.

Prints how far the log-probabilities of the next token are from those of the merged model, without and with the adapter.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"

import numpy as np
import torch
from safetensors.torch import save_file
from support.step_audio.mel import log_mel
from support.step_audio.model import StepAudio2, load
from support.step_audio.recorded import CHECKPOINT, case

if TYPE_CHECKING:
    from vllm import LLM

RANK, ALPHA, SIZE = 8, 16, 0.1
TARGETS = ("q_proj", "v_proj", "o_proj", "gate_proj", "down_proj")
VOCABULARY = 2048


@torch.no_grad()
def merge_adapter(model: StepAudio2, folder: Path) -> None:
    """Write a random adapter for the text part as PEFT does, and add it to the model's own weights."""
    torch.manual_seed(0)
    tensors = {}
    for name, layer in model.language.named_modules():
        if name.endswith(TARGETS):
            down = torch.randn(RANK, layer.in_features) * SIZE
            up = torch.randn(layer.out_features, RANK) * SIZE
            tensors |= {
                f"base_model.model.{name}.lora_A.weight": down,
                f"base_model.model.{name}.lora_B.weight": up,
            }
            layer.weight += ALPHA / RANK * (up @ down)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": ALPHA, "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(config | {"target_modules": list(TARGETS)}))


def log_probabilities(llm: LLM, adapter: Any) -> np.ndarray:
    from vllm import SamplingParams

    told = case("tone")
    request = {"prompt": told.prompt, "multi_modal_data": {"audio": [(told.samples, 16_000)]}}
    sampling = SamplingParams(temperature=0, max_tokens=1, logprobs=VOCABULARY)
    output = llm.generate([request], sampling, lora_request=adapter, use_tqdm=False)[0]
    likely = output.outputs[0].logprobs[0]
    return np.array([likely[token].logprob for token in range(VOCABULARY)])


def main(folder: Path) -> None:
    from vllm import LLM
    from vllm.lora.request import LoRARequest

    model = load(CHECKPOINT)
    merge_adapter(model, folder)
    told = case("tone")
    with torch.no_grad():
        logits = model(torch.tensor(told.steps["ids"][None]), [log_mel(torch.from_numpy(told.samples))])
    merged = logits[0, -1].log_softmax(-1).numpy()
    llm = LLM(
        str(CHECKPOINT),
        dtype="float32",
        max_model_len=1024,
        enforce_eager=True,
        enable_lora=True,
        max_lora_rank=RANK,
        max_logprobs=VOCABULARY,
    )
    adapters = {"without": None, "with": LoRARequest("test", 1, str(folder))}
    far = {name: float(np.abs(log_probabilities(llm, adapter) - merged).max()) for name, adapter in adapters.items()}
    print(f"\n{json.dumps(far)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
