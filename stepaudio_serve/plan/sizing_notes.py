"""Why sizes were chosen as they were, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .memory.figures import ANSWER_TOKENS
from .plan import Note
from .split import alike, is_slice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..settings.options import Settings
    from .devices import Device
    from .sizing import Option


def split_note(settings: Settings, devices: Sequence[Device], options: Sequence[Option], chosen: Option) -> Note:
    """Over how many GPUs the model is split, and why not over another number."""
    size = chosen.tensor_parallel
    what = f"the model is split over {size} of {len(devices)} GPUs" if size > 1 else f"1 of {len(devices)} GPUs is used"
    if any(is_slice(device) for device in devices):
        why = "a program can use one MIG slice only"
    elif not alike(devices):
        why = (
            f"they differ ({', '.join(dict.fromkeys(device.name for device in devices))}), and the model is split "
            "over GPUs of one kind only; sizes are those of the smallest: --gpus chooses"
        )
    elif not chosen.tokens:
        why = "over no number of them does it leave room for a context"
    elif size == len(devices):
        why = f"together they hold {_contexts(chosen)}"
    elif settings.gpus == "all" and size < options[-1].tensor_parallel:
        why = f"so many hold {_contexts(chosen)}, enough for {settings.max_num_seqs} requests at a time"
    else:
        why = f"its attention heads cannot be divided into {len(devices)}"
    return Note("tensor-parallel", what, why)


def step_note(options: Sequence[Option], chosen: Option) -> Note:
    """How many tokens a step has; `options` are all steps with this split, descending."""
    default = options[0]
    what = f"max_num_batched_tokens is {chosen.step:,}"
    after = next((option for option in options if option.step < chosen.step), None)
    if chosen.step != default.step and chosen.tokens == default.tokens:
        why = "the smallest step leaves the most for the KV cache"
    elif chosen.step != default.step:
        why = (
            f"a step of {default.step:,} sets more aside for the audio encoder: {default.tokens:,} tokens of KV cache "
            f"instead of {chosen.tokens:,}"
        )
    elif after is not None:
        why = (
            f"--max-num-batched-tokens {after.step} would give {after.tokens:,} tokens of KV cache, and slower prompts"
        )
    else:
        why = "a step holds every sequence, and one clip of audio whole"
    return Note("max-num-batched-tokens", what, why)


def context_note(max_model_len: int, tokens: int | None, positions: int = 0) -> Note:
    """How long an automatic context became; `tokens` of KV cache, None where that is not known.

    `positions` is what the model was made for, 0 where that is not known.
    """
    what = f"max_model_len is {max_model_len:,}"
    if tokens is None:
        return Note("max-model-len-auto", what, "the default: how much memory there is for more is not known")
    if max_model_len > tokens:
        why = (
            f"the KV cache holds {tokens:,} tokens, but auto goes no lower: less than an answer of {ANSWER_TOKENS:,} "
            "tokens beside one clip of audio is no use"
        )
    elif max_model_len >= positions > 0:
        why = "the model was made for no longer context"
    else:
        why = (
            f"about {tokens:,} tokens of KV cache are estimated, and the estimate may be off by a tenth: so much of it "
            "is left free"
        )
    return Note("max-model-len-auto", what, why)


def _contexts(option: Option) -> str:
    return f"{option.contexts:.1f} contexts of {option.max_model_len:,} tokens"
