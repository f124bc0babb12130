"""The checkpoint folder: whether it is there and whole, and whether the engine serves such a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..finding import Finding
from ..settings.engine_images import chosen_image
from ..settings.options import DEFAULT_MODEL
from ..settings.quantizations import support
from .amounts import gigabytes, listed
from .code import check_code
from .fetching import pull_command
from .shards import check_files
from .tokens import check_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..facts.checkpoint import Checkpoint
    from ..facts.gather import Facts
    from ..settings.options import Settings


def check_checkpoint(settings: Settings, facts: Facts) -> Iterator[Finding]:
    """What is said of the model; the rehearsal engine has none."""
    checkpoint = facts.checkpoint
    if settings.engine == "rehearsal":
        return
    if not checkpoint.exists and checkpoint.is_repository:
        yield _not_here(settings, facts)
        return
    wrong = [*check_files(settings, facts)]
    if checkpoint.problem and not any(finding.level == "blocker" for finding in wrong):
        wrong.append(_broken(settings, facts))
    yield from wrong
    if checkpoint.problem:
        return
    if not wrong:
        yield Finding("checkpoint", "checkpoint", "ok", _in_words(checkpoint))
    yield from _revision(settings, checkpoint)
    yield from _architecture(settings, facts)
    yield from check_tokens(settings, checkpoint)
    yield from _generation_config(checkpoint)
    yield from check_code(settings, facts)


def _not_here(settings: Settings, facts: Facts) -> Finding:
    checkpoint = facts.checkpoint
    size = f" ({gigabytes(checkpoint.weights_bytes)})" if checkpoint.published and checkpoint.weights_bytes else ""
    return Finding(
        "checkpoint-missing",
        "checkpoint",
        "blocker",
        f"the checkpoint {checkpoint.requested}{size} is not on this disk",
        f"looked in {checkpoint.path.parent} and {facts.folders.hub_cache}",
        pull_command(settings, facts),
    )


def _broken(settings: Settings, facts: Facts) -> Finding:
    checkpoint = facts.checkpoint
    return Finding(
        "checkpoint-broken",
        "checkpoint",
        "blocker",
        f"the checkpoint folder {checkpoint.path} {checkpoint.problem}",
        "a checkpoint has config.json, a tokenizer and *.safetensors files",
        pull_command(settings, facts) if checkpoint.is_repository else f"--model {DEFAULT_MODEL}, or its folder",
    )


def _in_words(checkpoint: Checkpoint) -> str:
    quantization = checkpoint.quantization
    known = support(quantization.kind)
    words = [f"{checkpoint.requested}: {gigabytes(checkpoint.weights_bytes)}"]
    words.append(
        known.name
        if known
        else f"{quantization.method} {quantization.format}".strip() or "weights of a kind of their own"
    )
    if quantization.kind != "none" and quantization.high_precision:
        words.append(f"left in high precision: {listed(list(quantization.high_precision), most=6)}")
    return ", ".join(words)


def _revision(settings: Settings, checkpoint: Checkpoint) -> Iterator[Finding]:
    if settings.revision and not (checkpoint.is_repository and checkpoint.inside):
        yield Finding(
            "revision",
            "checkpoint",
            "warning",
            f"revision {settings.revision} chooses nothing: {checkpoint.path} is served as it is",
            "only the Hub's cache keeps several revisions of a repository",
            "leave --revision away, or name the repository with --model",
        )


def _architecture(settings: Settings, facts: Facts) -> Iterator[Finding]:
    known = chosen_image(settings)
    found = facts.checkpoint.architectures
    if any(name in known.architectures for name in found):
        return
    default = settings.image is None and settings.runtime == "docker" and not known.serves_others
    served = ", ".join(known.architectures) or "none that is known to work here"
    yield Finding(
        "architecture",
        "checkpoint",
        "blocker" if default else "warning",
        f"the checkpoint is a {' '.join(found) or 'model of unnamed architecture'}",
        f"{known.image} serves {served}" if default else "whether this engine serves it is not known",
        "stepaudio-serve up --image IMAGE-THAT-SERVES-IT"
        if default
        else f"--model {DEFAULT_MODEL}, if it ends at once",
    )


def _generation_config(checkpoint: Checkpoint) -> Iterator[Finding]:
    if checkpoint.generation_config is None:
        yield Finding(
            "generation-config",
            "checkpoint",
            "note",
            "the checkpoint has no generation_config.json that can be read",
            "the plan brings one of its own, with end tokens and the recommended sampling",
        )
