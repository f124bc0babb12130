"""Step-Audio for a stock vLLM: the model, its parsers and its config, as one `vllm.general_plugins` entry point.

The package runs inside the engine. It imports nothing else of ours and stands under any name: in a container it is
mounted as `stepaudio_vllm`.
"""

from .register import register as register
