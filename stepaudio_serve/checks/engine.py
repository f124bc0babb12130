"""The container engine: whether it answers, and whether it can be used from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..finding import Finding
from ..plan.versions import version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..facts.engine import EngineFacts
    from ..facts.gather import Facts
    from ..plan.plan import Plan
    from ..settings.options import Settings

PODMAN_PASSES_GPUS = (5, 4)
"""Podman's Docker-compatible service takes GPU requests from this version on."""


def check_engine(settings: Settings, facts: Facts, plan: Plan) -> Iterator[Finding]:
    """Where containers run; nothing where none is asked for."""
    if settings.runtime != "docker":
        yield Finding("engine", "engine", "ok", "none is needed (runtime: process)")
        return
    if facts.engine_problem is not None:
        problem = facts.engine_problem
        yield Finding(f"engine-{problem.kind}", "engine", "blocker", problem.what, problem.why, problem.fix)
    elif facts.engine is None:
        yield Finding("engine-unseen", "engine", "note", "the container engine was not looked at")
    else:
        yield Finding("engine", "engine", "ok", _in_words(facts.engine))
        yield from _elsewhere(facts.engine)
        yield from _podman(facts.engine, plan)
        yield from _rootless(facts.engine, plan)


def _in_words(engine: EngineFacts) -> str:
    words = [f"{'Podman' if engine.is_podman else 'Docker Engine'} {engine.version}"]
    words += [f"API {engine.api_version}"] if engine.api_version else []
    words += ["rootless"] if engine.rootless else []
    words += [f"context {engine.context}"] if engine.context not in {"", "default"} else []
    return ", ".join(words)


def _elsewhere(engine: EngineFacts) -> Iterator[Finding]:
    if engine.is_remote:
        yield Finding(
            "remote-engine",
            "engine",
            "blocker",
            f"the container engine runs on another machine ({engine.url})",
            "its folders and its loopback address are not this machine's: nothing could be checked from here",
            "run stepaudio-serve on that machine, for example: ssh HOST stepaudio-serve up",
        )


def _podman(engine: EngineFacts, plan: Plan) -> Iterator[Finding]:
    if not engine.is_podman or plan.gpus.driver == "none":
        return
    old = version(engine.version)[:1] < PODMAN_PASSES_GPUS[:1]
    yield Finding(
        "podman-gpu",
        "engine",
        "blocker" if old else "warning",
        f"Podman {engine.version} "
        + ("ignores GPU requests" if old else "was never seen to pass a GPU on")
        + " through its Docker-compatible service",
        "the engine would start without a GPU and fail later",
        "sudo apt-get install podman   (5.4 or newer, or Docker Engine)"
        if old
        else "podman --version   # 5.4 or newer",
    )


def _rootless(engine: EngineFacts, plan: Plan) -> Iterator[Finding]:
    """NVIDIA's installation guide, "Rootless mode": its hook may not set up device cgroups there."""
    if engine.rootless and not engine.is_podman and plan.gpus.driver == "nvidia":
        yield Finding(
            "rootless-gpu",
            "engine",
            "note",
            "a rootless Docker Engine passes GPUs on once NVIDIA's hook leaves cgroups alone",
            "the NVIDIA Container Toolkit's setting no-cgroups cannot be seen from here",
            "sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups --in-place",
        )
