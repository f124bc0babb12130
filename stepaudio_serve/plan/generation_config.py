"""The generation config that makes the engine stop and sample as recommended without any client's help.

The published checkpoints name no end token and no sampling defaults; vLLM reads both from
`--generation-config DIR`. Sampling: the authors' recommendation for Step-Audio-R1.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..facts.checkpoint import R1_STOP_IDS

if TYPE_CHECKING:
    from ..facts.checkpoint import Checkpoint

TEMPERATURE = 0.7
REPETITION_PENALTY = 1.0


def stop_ids(checkpoint: Checkpoint) -> tuple[int, ...]:
    """The token ids that end an answer: the checkpoint's own, with `<|EOT|>` looked up in its tokenizer.

    Where no checkpoint is at hand these are R1's; a checkpoint without `<|EOT|>` keeps what it names itself.
    """
    ids = list(dict(checkpoint.stop_ids).values()) if checkpoint.exists else list(R1_STOP_IDS.values())
    own = (checkpoint.generation_config or {}).get("eos_token_id")
    own_ids = own if isinstance(own, list) else [own] if isinstance(own, int) else []
    return tuple(dict.fromkeys([*own_ids, *ids]))


def generation_config(checkpoint: Checkpoint) -> str:
    """The text of generation_config.json."""
    kept = {key: value for key, value in (checkpoint.generation_config or {}).items() if key != "eos_token_id"}
    recommended = {"temperature": TEMPERATURE, "repetition_penalty": REPETITION_PENALTY}
    ends = stop_ids(checkpoint)
    return json.dumps({**kept, **recommended, **({"eos_token_id": list(ends)} if ends else {})}, indent=2) + "\n"
