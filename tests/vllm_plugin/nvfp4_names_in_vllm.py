"""Run by a Python that has vLLM, with the plugin on its path: which layers vLLM takes an ignore list's entries for.

From JSON in the first argument (`entries`, and `layers` by the checkpoint's names) to JSON: for each entry the layers
that it matches once the plugin and vLLM have mapped everything.
"""

from __future__ import annotations

import json
import sys

from stepaudio_vllm.config import StepAudio2Config
from stepaudio_vllm.weights import MAPPER
from vllm.model_executor.layers.quantization.compressed_tensors.compressed_tensors import CompressedTensorsConfig
from vllm.model_executor.layers.quantization.utils.config_utils import is_equal_or_regex_match


def matched(entry, layers):
    config = StepAudio2Config()
    told = {"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized", "ignore": [entry]}
    config.quantization_config = told
    settings = CompressedTensorsConfig.from_config(config.quantization_config)
    settings.apply_vllm_mapper(MAPPER.get_rename_mapper())
    (mapped,) = settings.ignore
    return [layer for layer in layers if is_equal_or_regex_match(_name_here(layer), mapped)]


def _name_here(layer):
    return MAPPER.map_name(f"{layer}.weight").removesuffix(".weight")


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    print(json.dumps([matched(entry, task["layers"]) for entry in task["entries"]]))
