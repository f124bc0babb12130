"""Step-Audio 2's architecture in plain PyTorch, written from its description: what the vLLM plugin is compared with.

The test bed trains its tiny listener with it too. Only `prompt` and `recorded` can be imported without PyTorch.
"""
