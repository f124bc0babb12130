"""The tokens that serving depends on: end of turn, audio, and the marks of thinking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..finding import Finding
from ..plan.plugin import brings_plugin
from ..settings.options import DEFAULT_MODEL
from ..vllm_plugin import release
from .flags import value_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..facts.checkpoint import Checkpoint
    from ..settings.options import Settings

NEEDED: Mapping[str, str] = {
    "<|BOT|>": "turns cannot be told apart",
    "<|EOT|>": "answers run on until max_tokens",
    "<audio_patch>": "sound cannot be put into a prompt",
    "<audio_start>": "sound is not marked as such",
    "<audio_end>": "sound is not marked as such",
}
"""Tokens of the chat template and of the audio input, and what happens without them."""
MARKS = {"deepseek_r1": ("<think>", "</think>"), "step3": ("</think>",)}
"""What a reasoning parser needs as single tokens, read in the engine's code; without, every request fails."""


def check_tokens(settings: Settings, checkpoint: Checkpoint) -> Iterator[Finding]:
    """What the tokenizer lacks, and which reasoning parser it can drive."""
    known = {**dict(checkpoint.stop_ids), **dict(checkpoint.special_ids)}
    absent = [token for token in NEEDED if token not in known]
    if absent:
        yield Finding(
            "special-tokens",
            "checkpoint",
            "warning",
            f"the tokenizer does not know {', '.join(absent)} as single tokens",
            "; ".join(dict.fromkeys(NEEDED[token] for token in absent)),
            f"--model {DEFAULT_MODEL}, or the tokenizer files that belong to this model",
        )
    yield from _reasoning(settings, checkpoint)


def _reasoning(settings: Settings, checkpoint: Checkpoint) -> Iterator[Finding]:
    asked = value_of("--reasoning-parser", settings.engine_args)
    known = dict(checkpoint.special_ids)
    absent = [mark for mark in MARKS.get(asked, ()) if mark not in known]
    if absent:
        other = checkpoint.reasoning_parser
        yield Finding(
            "reasoning-parser",
            "checkpoint",
            "blocker",
            f"the reasoning parser {asked} needs {' and '.join(absent)} as single tokens",
            "the tokenizer has no such tokens, and every request would fail",
            f"-- --reasoning-parser {other}" if other else f"leave --reasoning-parser {asked} away after the --",
        )
    elif brings_plugin(settings):
        if not asked and not settings.guard:
            yield Finding(
                "reasoning-parser",
                "checkpoint",
                "note",
                f"thinking can be sent apart from the answer: -- --reasoning-parser {release.REASONING_PARSER}",
                "the plugin brings this parser; without it and without the guard both come as one text",
            )
    elif not asked and checkpoint.reasoning_parser:
        yield Finding(
            "reasoning-parser",
            "checkpoint",
            "note",
            f"thinking can be sent apart from the answer: -- --reasoning-parser {checkpoint.reasoning_parser}",
            "the tokenizer has the marks for it; without the parser both come as one text",
        )
