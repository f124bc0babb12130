"""Whether the model and one full context fit the GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..plan.plan import Plan


def check_memory(plan: Plan) -> Iterator[Finding]:
    """A plan that does not fit, with the nearest settings that do."""
    memory = plan.memory
    if memory.fits is not False or memory.kv_tokens is None:
        return
    fitting = memory.kv_tokens // 256 * 256
    yield Finding(
        "memory",
        "memory",
        "blocker",
        f"the KV cache would hold about {memory.kv_tokens:,} tokens, less than one full context",
        f"the weights take {memory.weights_gib} GiB of each GPU",
        f"--max-model-len {fitting}" if fitting >= 1024 else "a GPU with more memory, or --gpus 0,1 for two",
    )
