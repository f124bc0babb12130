"""What protects the engine, inside the engine's own server process.

vLLM loads it with `--middleware stepaudio_guard.Guard`: this folder is put on the server's PYTHONPATH as
`stepaudio_guard`. It therefore stands alone: the standard library and relative imports, nothing else.
"""

from __future__ import annotations

from .config import API_KEY_FILE, METRICS, GuardConfig, read_config
from .errors import GuardConfigError
from .middleware import Guard

__all__ = ["API_KEY_FILE", "METRICS", "Guard", "GuardConfig", "GuardConfigError", "read_config"]
