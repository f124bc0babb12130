"""The notes of a plan: what differs from the model card's command and why, and what was assumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..facts.checkpoint import R1_STOP_IDS
from .image_notes import image_notes
from .memory.engine_args import read_engine_args
from .plan import GpuRequest, Note
from .plugin import brings_plugin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..facts.gather import Facts
    from ..settings.options import Settings
    from .sizing import Sizes


def notes_for(
    settings: Settings, facts: Facts, *, gpus: GpuRequest, sizes: Sizes, command: tuple[str, ...]
) -> tuple[Note, ...]:
    """Every note that holds for these settings and facts, and the engine's arguments made of them."""
    return (
        *image_notes(settings, facts, command),
        *_differences(settings),
        *sizes.notes,
        *_engine_args(settings),
        *_assumptions(settings, facts, gpus),
    )


def _differences(settings: Settings) -> Iterator[Note]:
    if settings.host == "127.0.0.1":
        yield Note("loopback", "the port is published on 127.0.0.1 only", "the card's -p opens it to every neighbour")
    if settings.chat_template == "step-audio-r1":
        yield Note(
            "chat-template",
            "the chat template comes from a file and closes every finished turn",
            "the card's inline template leaves assistant turns open, so that conversations are malformed",
        )
    yield Note(
        "generation-config",
        "a generation config names the end tokens and the recommended sampling",
        "the checkpoint names neither: without it the model does not stop by itself",
    )
    if settings.guard:
        yield Note(
            "guard",
            "the guard runs inside the server: audio is checked and cut, limits hold, only a client's routes are open, "
            "the key is asked for on all but /health, /ping and the empty page",
            "the engine refuses sounds beyond 30 s, and its own --api-key leaves /invocations open"
            if brings_plugin(settings)
            else "one clip of 30 s ends the engine as released, and its own --api-key leaves /invocations open",
        )
    else:
        yield Note(
            "guard-off", "the guard is off", "every route of the engine is reachable by whoever reaches the port"
        )
    if not settings.log_requests:
        yield Note(
            "log-requests", "requests are not logged", "the card's --enable-log-requests writes prompts to the log"
        )
    if settings.runtime == "docker":
        yield Note(
            "container",
            "the checkpoint is read-only, capabilities are dropped, compile caches are kept, logs are kept and rotated",
            "the card's --rm throws the logs of a dead engine away, and every start compiles anew",
        )
    else:
        yield Note(
            "process",
            f"the engine runs as a child process; restart: {settings.restart} has no effect",
            "only a container engine restarts what died",
        )


def _engine_args(settings: Settings) -> Iterator[Note]:
    """What arguments handed through to the engine change in the memory estimate."""
    given = read_engine_args(settings.engine_args)
    if given.kv_number_bytes == 1:
        yield Note(
            "kv-cache-dtype", "a token takes half the KV cache", "--kv-cache-dtype fp8 stores a number in a byte"
        )
    if not given.encoder_measured:
        yield Note(
            "encoder-not-measured",
            "no memory is set aside for the audio encoder",
            "--skip-mm-profiling: clips take it from what the budget leaves free, and may end the engine",
        )
    if given.offloaded_gib:
        yield Note(
            "weights-offloaded",
            f"{given.offloaded_gib:g} GiB of weights for each GPU stay in the host's memory",
            "--cpu-offload-gb: they are read over PCIe at every step, which is slow",
        )


def _assumptions(settings: Settings, facts: Facts, gpus: GpuRequest) -> Iterator[Note]:
    if settings.engine == "rehearsal":
        yield Note("rehearsal", "the engine is a rehearsal: no model, no GPU", "it answers with what it measured")
        return
    if settings.gpus == "none":
        yield Note("no-gpu", "no GPU is asked for", "only a CPU build of vLLM starts so")
    if gpus.driver == "cdi":
        yield Note("cdi", "GPUs are asked for by CDI", "the container engine has CDI and no nvidia runtime")
    if facts.checkpoint.exists and not dict(facts.checkpoint.stop_ids).get("<|EOT|>"):
        yield Note("no-eot", "the checkpoint's tokenizer has no <|EOT|>", "answers may run on until max_tokens")
    if facts.checkpoint.published:
        yield Note(
            "published-figures",
            f"shape and size of {facts.checkpoint.requested} are the published ones",
            "it is not on this disk to be looked at",
        )
    if not facts.checkpoint.exists:
        ids = ", ".join(str(number) for number in R1_STOP_IDS.values())
        yield Note("assumed-stop-ids", f"end tokens {ids} are assumed", "no checkpoint was there to look them up in")
    if not settings.guard:
        yield _clips_without_guard(settings)


def _clips_without_guard(settings: Settings) -> Note:
    others = "`stepaudio-serve ask` cuts audio, other clients must"
    if brings_plugin(settings):
        what = "clips over 29.98 seconds, and empty ones, are refused with HTTP 400"
        return Note("clip-length", what, f"the plugin checks them; {others}")
    what = "clips over 29.98 seconds, and empty ones, end the released engine"
    return Note("clip-length", what, f"it has a check for that and never calls it; {others}")
