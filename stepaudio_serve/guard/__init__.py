"""What protects the engine, inside the engine's own server process.

vLLM loads it with `--middleware stepaudio_guard.Guard`: this folder and the audio modules beside it are put on the
server's PYTHONPATH as one package, `stepaudio_guard`. Both therefore stand alone: the standard library, relative
imports, and numpy and soundfile, which the engine has.
"""

from __future__ import annotations

from .config import API_KEY_FILE, METRICS, GuardConfig, read_config
from .errors import GuardConfigError
from .middleware import Guard

__all__ = ["API_KEY_FILE", "METRICS", "Guard", "GuardConfig", "GuardConfigError", "read_config"]
