"""The checkpoint folder: where it is, what it holds, and what is wrong with it. No weights are loaded."""

from .checkpoint import (
    R1_STOP_IDS,
    SPECIAL_TOKENS,
    STOP_TOKENS,
    AudioShape,
    Checkpoint,
    CodeFile,
    Fault,
    Quantization,
    TextShape,
    Weights,
)
from .find import find_checkpoint

__all__ = [
    "R1_STOP_IDS",
    "SPECIAL_TOKENS",
    "STOP_TOKENS",
    "AudioShape",
    "Checkpoint",
    "CodeFile",
    "Fault",
    "Quantization",
    "TextShape",
    "Weights",
    "find_checkpoint",
]
