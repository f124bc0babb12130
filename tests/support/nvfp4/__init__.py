"""NVFP4 in plain PyTorch: packs a checkpoint as llm-compressor does, and computes what the packed one answers.

No module but `emulation_plugin` knows vLLM; `names` can be imported without PyTorch.
"""
