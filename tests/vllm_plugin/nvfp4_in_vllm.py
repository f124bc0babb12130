"""Run by a Python that has vLLM: packs the reference checkpoint, and asks vLLM and PyTorch the same.

From JSON in the first argument to JSON in the last line of stdout. `ignore` is packed with, `told` (or that) stands in
config.json; `activations` is whether activations are FP4 too; `lacks` a tensor that is left out of the file.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # the model is looked at in this process

import torch
from safetensors.torch import load_file, save_file
from support.nvfp4.pack import pack_checkpoint
from support.nvfp4.reference import largest_inputs, load_packed
from support.step_audio.mel import log_mel
from support.step_audio.model import load
from support.step_audio.prompt import Marks, expand
from support.step_audio.recorded import CHECKPOINT, CLIPS, RATE, case
from vllm import LLM, SamplingParams
from vllm.model_executor.layers.linear import LinearBase
from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead

MARKS = Marks(start=3, patch=5, end=4)
TOKENS = 8


def questions():
    """Each clip with its prompt: what vLLM reads, and the ids and the mel that PyTorch does."""
    for clip in CLIPS:
        asked = case(clip)
        ids = expand(asked.prompt_ids, [len(asked.samples)], MARKS)
        prompt = {"prompt": asked.prompt, "multi_modal_data": {"audio": [(asked.samples, RATE)]}}
        yield clip, prompt, ids, log_mel(torch.from_numpy(asked.samples))


@torch.no_grad()
def computed(model):
    """PyTorch's log-probabilities of the next token, and its greedy tokens."""
    return {
        clip: (model(torch.tensor([ids]), [mel])[0, -1].log_softmax(-1), model.greedy(ids, [mel], TOKENS))
        for clip, _, ids, mel in questions()
    }


def served(llm):
    """vLLM's, likewise."""
    size = llm.model_config.get_vocab_size()
    sampling = SamplingParams(temperature=0, max_tokens=TOKENS, logprobs=size, ignore_eos=True)
    clips, prompts, *_ = zip(*questions(), strict=True)
    answers = [request.outputs[0] for request in llm.generate(list(prompts), sampling, use_tqdm=False)]
    return {
        clip: (torch.tensor([answer.logprobs[0][token].logprob for token in range(size)]), list(answer.token_ids))
        for clip, answer in zip(clips, answers, strict=True)
    }


def layers(model):
    """What became of each linear layer: the kernel of those that are FP4, the numbers of those that are not."""
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, LinearBase | ParallelLMHead):
            scheme = getattr(module, "scheme", None)
            found[name] = str(module.weight.dtype) if scheme is None else type(scheme.kernel).__name__
    return found


def compare(theirs, ours):
    return {clip: float((theirs[clip][0] - ours[clip][0]).abs().max()) for clip in CLIPS}


def leave_out(file, name):
    tensors = load_file(file)
    del tensors[name]
    save_file(tensors, file, metadata={"format": "pt"})


def main(task):
    folder = Path(task["folder"])
    model = load(CHECKPOINT)
    with largest_inputs(model) as inputs:
        plain = computed(model)
    pack_checkpoint(CHECKPOINT, folder, task["ignore"], inputs if task["activations"] else None, task.get("told"))
    if "lacks" in task:
        leave_out(folder / "model.safetensors", task["lacks"])
    llm = LLM(str(folder), dtype="float32", max_model_len=1024, enforce_eager=True, max_logprobs=-1)
    answers, reference = served(llm), computed(load_packed(CHECKPOINT, folder))
    report = {
        "layers": llm.apply_model(layers)[0],
        "from the reference": compare(answers, reference),
        "from unquantised": compare(answers, plain),
        "greedy": {clip: answers[clip][1] for clip in CLIPS},
        "reference greedy": {clip: reference[clip][1] for clip in CLIPS},
        "unquantised greedy": {clip: plain[clip][1] for clip in CLIPS},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
