"""The memory plan: what the weights leave for the KV cache, by the engine's own arithmetic (docs/memory.md)."""

from .budget import MemoryBudget, estimate
from .figures import ANSWER_TOKENS

__all__ = ["ANSWER_TOKENS", "MemoryBudget", "estimate"]
