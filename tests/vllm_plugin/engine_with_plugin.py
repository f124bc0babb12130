"""Run by a Python that has vLLM, with the plugin on its path: how far the engine is from the recorded numbers.

`engine_with_plugin.py WAY` starts the engine in one way (see WAYS) and prints JSON: for each prompt, alone and all at
once, whether its ids and its greedy tokens are the expected ones, and how far the log-probabilities of the next token
are from theirs. What is expected was recorded, or comes from the architecture in plain PyTorch.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.update(HF_HUB_OFFLINE="1", VLLM_NO_USAGE_STATS="1", VLLM_CPU_KVCACHE_SPACE="1")

import numpy as np
import torch
from support.step_audio.mel import log_mel
from support.step_audio.model import StepAudio2, load
from support.step_audio.prompt import MOST_SAMPLES, Marks, expand
from support.step_audio.recorded import CHECKPOINT, CLIPS, Case, case

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vllm import LLM

WAYS: Mapping[str, Mapping[str, Any]] = {
    "eager": {"enforce_eager": True},
    "chunked": {"enforce_eager": True, "max_num_batched_tokens": 64, "max_num_seqs": 8},
    "compiled": {"enforce_eager": False},
    "prefix-cache": {"enforce_eager": True, "enable_prefix_caching": True},
    "tensor-parallel": {"enforce_eager": True, "tensor_parallel_size": 2},
    "remote-code-trusted": {"enforce_eager": True, "trust_remote_code": True},
}
MARKS = Marks(start=3, patch=5, end=4)
VOCABULARY = 2048
STEPS = 8


@dataclass(frozen=True, slots=True)
class Expected:
    """A prompt, its clips, and what has to become of it."""

    prompt: str
    clips: Sequence[np.ndarray]
    ids: list[int]
    log_probabilities: np.ndarray
    greedy: list[int]


def recorded(clip: str) -> Expected:
    told = case(clip)
    logits = torch.from_numpy(told.steps["logits"])
    return Expected(
        told.prompt, [told.samples], told.steps["ids"].tolist(), logits.log_softmax(-1).numpy(), told.greedy
    )


@torch.no_grad()
def computed(model: StepAudio2, llm: LLM, content: str, clips: Sequence[np.ndarray]) -> Expected:
    prompt = f"<|BOT|>human\n{content}<|EOT|><|BOT|>assistant\n<think>\n"
    ids = expand(llm.get_tokenizer().encode(prompt), [len(clip) for clip in clips], MARKS)
    mels = [log_mel(torch.from_numpy(clip)) for clip in clips]
    probabilities = model(torch.tensor([ids]), mels)[0, -1].log_softmax(-1).numpy()
    return Expected(prompt, clips, ids, probabilities, model.greedy(ids, mels, STEPS))


def prompts(llm: LLM) -> dict[str, Expected]:
    model = load(CHECKPOINT)
    tone, chirp = (case(clip).samples for clip in CLIPS)
    longest = [np.resize(np.roll(chirp, 4001 * number), MOST_SAMPLES) for number in range(8)]
    return {
        "tone": recorded("tone"),
        "chirp": recorded("chirp"),
        "no clip": computed(model, llm, "What do you hear?", []),
        "two clips": computed(model, llm, "<audio_patch><audio_patch>Which is higher?", [tone, chirp]),
        "text between": computed(model, llm, "First <audio_patch> and then <audio_patch>, say?", [chirp, tone]),
        "one sample": computed(model, llm, "<audio_patch>Well?", [tone[:1]]),
        "eight of the longest": computed(model, llm, "<audio_patch>" * 8 + "Well?", longest),
    }


def answers(llm: LLM, expected: Sequence[Expected]) -> list[dict[str, Any]]:
    from vllm import SamplingParams

    requests = [
        {"prompt": one.prompt, "multi_modal_data": {"audio": [(clip, 16_000) for clip in one.clips]}}
        if one.clips
        else {"prompt": one.prompt}
        for one in expected
    ]
    sampling = SamplingParams(temperature=0, max_tokens=STEPS, logprobs=VOCABULARY, ignore_eos=True)
    outputs = llm.generate(requests, sampling, use_tqdm=False)
    return [compared(output, one) for output, one in zip(outputs, expected, strict=True)]


def compared(output: Any, expected: Expected) -> dict[str, Any]:
    completion = output.outputs[0]
    theirs = np.array([completion.logprobs[0][token].logprob for token in range(VOCABULARY)])
    return {
        "same ids": list(output.prompt_token_ids) == expected.ids,
        "same tokens": list(completion.token_ids) == expected.greedy,
        "log-probabilities": float(np.abs(theirs - expected.log_probabilities).max()),
        "cached": output.num_cached_tokens or 0,
    }


def modules(model: Any) -> dict[str, float]:
    """How far front end, encoder and adaptor are from the recorded steps, each fed with the recorded step before."""
    front_end = sys.modules[type(model).__module__.rpartition(".")[0] + ".mel"]
    far = {}
    for clip in CLIPS:
        told = case(clip)
        steps = {name: torch.from_numpy(told.steps[name]) for name in ("mel", "encoder", "adaptor")}
        with torch.no_grad():
            ours = {
                "mel": front_end.log_mel(told.samples, 128),
                "encoder": model.encoder(steps["mel"]),
                "adaptor": model.adapter(steps["encoder"]),
            }
        far |= {f"{clip} {name}": float((value - steps[name]).abs().max()) for name, value in ours.items()}
    return far


def handed_in(llm: LLM) -> dict[str, str]:
    """The tone as vLLM's Python interface takes clips: what came of each, told as `as recorded` or in words."""
    told = case("tone")
    shapes: dict[str, Any] = {
        "with its rate": (told.samples, 16_000),
        "numbers alone": told.samples,
        "a list of numbers": told.samples.tolist(),
        "a tensor": torch.from_numpy(told.samples),
        "a clip in a list": [told.samples],
        "embeddings": torch.zeros(1, 13, 64, dtype=torch.bfloat16),
        "nothing": np.zeros(0, np.float32),
    }
    return {name: outcome(llm, told, shape) for name, shape in shapes.items()}


def outcome(llm: LLM, told: Case, audio: Any) -> str:
    from vllm import SamplingParams

    sampling = SamplingParams(temperature=0, max_tokens=STEPS, ignore_eos=True)
    request = {"prompt": told.prompt, "multi_modal_data": {"audio": audio}}
    try:
        answer = llm.generate([request], sampling, use_tqdm=False)[0].outputs[0]
    except Exception as error:  # noqa: BLE001 - the test reads it
        return str(error)
    return "as recorded" if list(answer.token_ids) == told.greedy else "something else"


def most_tokens(llm: LLM) -> dict[str, int]:
    """Tokens of sound that the longest clip has: as vLLM plans with, and as its own trial clip turns out."""
    from vllm.multimodal import MULTIMODAL_REGISTRY

    processor = MULTIMODAL_REGISTRY.create_processor(llm.llm_engine.model_config)
    planned = processor.info.get_mm_max_tokens_per_item(4096, {"audio": 1})["audio"]
    trial = processor.get_dummy_mm_inputs({"audio": 1})["mm_placeholders"]["audio"][0]
    return {"planned": planned, "trial": trial.get_num_embeds()}


def main(way: str) -> None:
    alone_in_process = "parallel" not in way
    # two workers on one machine's only memory node, or all in this process
    name, value = ("VLLM_ENABLE_V1_MULTIPROCESSING", "0") if alone_in_process else ("VLLM_CPU_SIM_MULTI_NUMA", "1")
    os.environ[name] = value
    from vllm import LLM

    llm = LLM(
        str(CHECKPOINT),
        **{"max_num_batched_tokens": 4096, "max_num_seqs": 8, "enable_prefix_caching": False, **WAYS[way]},
        dtype="float32",
        max_model_len=4096,
        max_logprobs=VOCABULARY,
    )
    expected = prompts(llm)
    report = {
        "modules": llm.apply_model(modules)[0] if alone_in_process else {},
        "most tokens": most_tokens(llm),
        "handed in": handed_in(llm) if way == "eager" else {},
        "alone": {name: answers(llm, [one])[0] for name, one in expected.items()},
        "together": dict(zip(expected, answers(llm, list(expected.values())), strict=True)),
    }
    print(f"\n{json.dumps(report)}")


if __name__ == "__main__":
    main(sys.argv[1])
