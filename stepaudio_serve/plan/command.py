"""The engine's argument list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..settings.engine_images import chosen_image, trusts_code

if TYPE_CHECKING:
    from ..settings.options import Settings
    from .sizing import Sizes

GUARD_PACKAGE = "stepaudio_guard"
GUARD_CLASS = f"{GUARD_PACKAGE}.Guard"
TEMPLATE_FILE = "chat_template.jinja"
GENERATION_CONFIG_FOLDER = "generation_config"
DRAIN_FLAG = "--shutdown-timeout"
TEARDOWN_SECONDS = 5
"""What an engine keeps of its grace for ending itself once the answers in flight are finished or given up."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the engine sees the checkpoint and the files of ours."""

    model: str
    files: str


def serve_arguments(settings: Settings, paths: Paths, *, port: int, host: str | None, sizes: Sizes) -> tuple[str, ...]:
    """`serve MODEL --flags`; `host` only where the engine itself binds the published address."""
    optional: list[tuple[str, object]] = []
    if host is not None:
        optional.append(("--host", host))
    if sizes.tensor_parallel_size != 1:
        optional.append(("--tensor-parallel-size", sizes.tensor_parallel_size))
    if sizes.max_num_batched_tokens is not None:
        optional.append(("--max-num-batched-tokens", sizes.max_num_batched_tokens))
    drain = drain_seconds(settings.stop_grace) if chosen_image(settings).drains else 0
    if drain and not gives(DRAIN_FLAG, settings.engine_args):
        optional.append((DRAIN_FLAG, drain))
    valued: list[tuple[str, object]] = [
        ("--served-model-name", settings.served_model_name),
        ("--port", port),
        ("--max-model-len", sizes.max_model_len),
        ("--max-num-seqs", settings.max_num_seqs),
        ("--gpu-memory-utilization", settings.gpu_memory_utilization),  # defaults differ between versions of vLLM
        ("--chat-template", f"{paths.files}/{TEMPLATE_FILE}"),
        ("--generation-config", f"{paths.files}/{GENERATION_CONFIG_FOLDER}"),
        *optional,
    ]
    switches = ["--interleave-mm-strings"]
    if trusts_code(settings):
        switches.append("--trust-remote-code")
    if settings.log_requests:
        switches.append("--enable-log-requests")
    flags = [word for flag, value in valued for word in (flag, str(value))]
    # The last middleware stands outermost, so the guard comes after whatever the user adds.
    guard = ("--middleware", GUARD_CLASS) if settings.guard else ()
    return ("serve", paths.model, *flags, *switches, *settings.engine_args, *guard)


def drain_seconds(stop_grace: int) -> int:
    """How long the engine may finish answers in flight, so that it has ended by itself when the grace is over.

    At the end of the grace it is killed, which cuts answers without a word; an answer that outlasts the drain is
    ended with an error instead. A grace of 10 s or less is halved.
    """
    return stop_grace - min(TEARDOWN_SECONDS, -(-stop_grace // 2))


def gives(flag: str, words: tuple[str, ...]) -> bool:
    """Whether the user's own arguments hold a flag, in any spelling that the engine takes."""
    return any(word.partition("=")[0].replace("_", "-") == flag for word in words)
