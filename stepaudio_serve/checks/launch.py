"""What can be said before a start: each check looks at settings, facts and plan, and yields findings."""

from __future__ import annotations

import ipaddress
import shlex
from typing import TYPE_CHECKING

from ..finding import Finding
from ..plan.chat_template import ChatTemplate, check
from ..plan.model_card import unhonoured
from ..settings.engine_images import engine_image
from ..settings.options import CHAT_TEMPLATES, DEFAULT_MODEL
from .memory import check_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..facts.checkpoint import Checkpoint
    from ..facts.engine import ImageFacts
    from ..facts.gather import Facts
    from ..facts.host import PortHolder
    from ..plan.plan import Plan
    from ..settings.options import Settings


def check_launch(settings: Settings, facts: Facts, plan: Plan) -> tuple[Finding, ...]:
    """Findings that need nothing but settings, facts and the plan."""
    return (
        *_recipe(settings),
        *_checkpoint(settings, facts),
        *_template(settings, facts),
        *_address(settings, facts),
        *_image(settings, facts, plan),
        *_podman(facts, plan),
        *_gpus(settings, facts),
        *check_memory(plan),
        *_code(settings, facts),
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def _recipe(settings: Settings) -> Iterator[Finding]:
    names = unhonoured(settings) if settings.recipe == "model-card" else ()
    if names:
        yield Finding(
            "model-card",
            "recipe",
            "blocker",
            f"the model card's command has no place for {', '.join(names)} as set",
            "it is taken word for word, as the baseline to compare with",
            "leave them as the profile model-card has them, or start without that profile",
        )


def _template(settings: Settings, facts: Facts) -> Iterator[Finding]:
    """What `template check` says of the user's own template; those that ship are known to be right."""
    if settings.chat_template in CHAT_TEMPLATES:
        return
    template = ChatTemplate(settings.chat_template, facts.chat_template, facts.chat_template_path)
    yield from (finding for finding in check(template) if finding.level != "ok")


def _checkpoint(settings: Settings, facts: Facts) -> Iterator[Finding]:
    checkpoint = facts.checkpoint
    if settings.engine == "rehearsal":
        return
    if not checkpoint.exists and checkpoint.is_repository:
        yield Finding(
            "checkpoint-missing",
            "checkpoint",
            "blocker",
            f"the checkpoint {checkpoint.requested} is not on this disk",
            f"looked in {checkpoint.path.parent} and {facts.folders.hub_cache}",
            _download(settings, checkpoint),
        )
    elif checkpoint.problem:
        yield Finding(
            "checkpoint-broken",
            "checkpoint",
            "blocker",
            f"the checkpoint folder {checkpoint.path} {checkpoint.problem}",
            "a checkpoint has config.json, a tokenizer and *.safetensors files",
            _download(settings, checkpoint) if checkpoint.is_repository else f"--model {DEFAULT_MODEL}, or its folder",
        )
    else:
        yield from _revision(settings, checkpoint)
        yield from _architecture(settings, facts)


def _download(settings: Settings, checkpoint: Checkpoint) -> str:
    """The command that brings a repository to where it was looked for: a folder of ours, or the Hub's cache."""
    words = ["hf", "download", checkpoint.requested]
    words += ["--revision", settings.revision] if settings.revision else []
    words += [] if checkpoint.inside else ["--local-dir", str(checkpoint.path)]
    return shlex.join(words)


def _revision(settings: Settings, checkpoint: Checkpoint) -> Iterator[Finding]:
    if settings.revision and not (checkpoint.is_repository and checkpoint.inside):
        yield Finding(
            "revision",
            "checkpoint",
            "warning",
            f"revision {settings.revision} chooses nothing: {checkpoint.path} is served as it is",
            "only the Hub's cache keeps several revisions of a repository",
        )


def _architecture(settings: Settings, facts: Facts) -> Iterator[Finding]:
    known = engine_image(settings.engine_image)
    found = facts.checkpoint.architectures
    if any(name in known.architectures for name in found):
        return
    default = settings.image is None and settings.runtime == "docker"
    yield Finding(
        "architecture",
        "checkpoint",
        "blocker" if default else "warning",
        f"the checkpoint is a {' '.join(found) or 'model of unnamed architecture'}",
        f"{known.image} serves {', '.join(known.architectures) or 'none that is known to work here'}"
        if default
        else "whether this engine serves it is not known",
        "stepaudio-serve up --image IMAGE-THAT-SERVES-IT" if default else "",
    )


def _address(settings: Settings, facts: Facts) -> Iterator[Finding]:
    card = settings.recipe == "model-card"
    beyond = card or not is_loopback(settings.host)
    where = "the model card's port, published on every interface," if card else settings.host
    if beyond and not settings.has_key and not settings.insecure:
        yield Finding(
            "open-to-neighbours",
            "address",
            "blocker",
            f"{where} is reachable by others and no key is set",
            "anyone who reaches the port could use the model and end it",
            "--insecure" if card else "--host 127.0.0.1, or --api-key-file FILE, or --insecure",
        )
    elif settings.has_key and not settings.guard and not card:
        yield Finding(
            "key-without-guard",
            "address",
            "blocker",
            "a key is set and the guard is off",
            "the guard is what asks for the key",
            "--guard",
        )
    elif beyond:
        yield Finding("open-to-neighbours", "address", "warning", f"{where} is reachable by others")
    if facts.engine is not None and facts.engine.is_remote:
        yield Finding(
            "remote-engine",
            "address",
            "blocker",
            f"the container engine runs on another machine ({facts.engine.url})",
            "its folders and its loopback address are not this machine's: nothing could be checked from here",
            "run stepaudio-serve on that machine, for example: ssh HOST stepaudio-serve up",
        )


def _image(settings: Settings, facts: Facts, plan: Plan) -> Iterator[Finding]:
    if settings.runtime != "docker":
        return
    known = engine_image(settings.engine_image if settings.engine == "vllm" else "rehearsal")
    platform = f"linux/{facts.architecture}"
    if plan.image == known.image and platform not in known.platforms:
        yield Finding(
            "platform",
            "image",
            "blocker",
            f"{plan.image} does not exist for {platform}",
            f"it exists for {', '.join(known.platforms)}",
            "--image IMAGE with a build for this processor",
        )


def _gpus(settings: Settings, facts: Facts) -> Iterator[Finding]:
    found = facts.gpus.found
    if settings.engine != "vllm" or settings.gpus == "none":
        return
    seen = {name for gpu in found for name in (str(gpu.index), gpu.uuid)}
    absent = [name for name in settings.gpu_ids if name not in seen and name.isdecimal() | name.startswith("GPU-")]
    if found and absent:
        there = ", ".join(f"{gpu.index} ({gpu.name})" for gpu in found)
        yield Finding(
            "gpu-missing",
            "gpu",
            "blocker",
            f"there is no GPU {', '.join(absent)} (gpus: {settings.gpus})",
            f"this machine has {there}",
            f"--gpus {found[0].index}",
        )
    size, asked = settings.tensor_parallel_size, len(settings.gpu_ids) or len(found)
    if size != "auto" and asked and size > asked:
        yield Finding(
            "too-few-gpus",
            "gpu",
            "blocker",
            f"tensor_parallel_size {size} needs {size} GPUs, {asked} will be there",
            "the model is split over so many GPUs",
            f"--tensor-parallel-size {asked}",
        )


def _podman(facts: Facts, plan: Plan) -> Iterator[Finding]:
    if facts.engine is None or not facts.engine.is_podman or plan.gpus.driver == "none":
        return
    old = int(facts.engine.version.split(".")[0]) < 5
    yield Finding(
        "podman-gpu",
        "engine",
        "blocker" if old else "warning",
        f"Podman {facts.engine.version} "
        + ("ignores GPU requests" if old else "was never seen to pass a GPU on")
        + " through its Docker-compatible service",
        "the engine would start without a GPU and fail later",
        "Podman 5.4 or newer, or Docker Engine" if old else "",
    )


def _code(settings: Settings, facts: Facts) -> Iterator[Finding]:
    if settings.trust_remote_code == "pinned":
        yield Finding(
            "trust-remote-code",
            "checkpoint",
            "blocker",
            "trust_remote_code: pinned is not there yet",
            "no hashes of the checkpoint's code are recorded to compare with",
            "--trust-remote-code on",
        )
    elif settings.trust_remote_code == "off" and facts.checkpoint.has_remote_code:
        yield Finding(
            "trust-remote-code",
            "checkpoint",
            "warning",
            "the checkpoint brings code of its own and trust_remote_code is off",
            "the released image refuses to load the model without it",
            "--trust-remote-code on",
        )


def check_key_file(path: str, problem: str) -> tuple[Finding, ...]:
    """The key file that the settings name; `problem` says why it cannot be used, or is empty.

    The fix writes into no file that is there: it may hold something else.
    """
    if not problem:
        return ()
    return (
        Finding(
            "api-key-file",
            "address",
            "blocker",
            f"the key file {path} cannot be used",
            problem,
            f"(umask 077; openssl rand -hex 24 > {shlex.quote(path)})"
            if "No such file" in problem
            else "--api-key-file FILE   (a file with a key: openssl rand -hex 24)",
        ),
    )


def check_port(holder: PortHolder | None, container: str | None, free: int | None) -> tuple[Finding, ...]:
    """The port, when somebody holds it: a container by name, else a process as far as the system tells."""
    if holder is None:
        return ()
    if container is not None:
        who = f"the container `{container}`"
    elif holder.process:
        who = f"the process {holder.process} (pid {holder.pid})"
    else:
        who = "another process, which the system does not name to this user"
    return (
        Finding(
            "port-taken",
            "address",
            "blocker",
            f"port {holder.port} is held by {who}",
            "two servers cannot share it",
            f"--port {free}" if free else "--port ANOTHER",
        ),
    )


def check_platform_of(image: ImageFacts, reference: str, architecture: str) -> tuple[Finding, ...]:
    """An image that is present, against the engine's processor."""
    if not image.architecture or image.architecture == architecture:
        return ()
    return (
        Finding(
            "platform",
            "image",
            "blocker",
            f"{reference} is built for {image.architecture}, the engine runs on {architecture}",
            "it would end with `exec format error`",
            f"docker pull --platform linux/{architecture} {reference}",
        ),
    )
