"""Plays the start-up of vLLM: its lines, at the shares of the set time at which they come."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from . import data, log
from .failures import wrapper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .failures import Failure
    from .options import EngineOptions
    from .settings import RehearsalSettings

KV_TOKENS = 18320
"""Tokens of KV cache beside the NVFP4 weights on a 32 GB card."""

KV_TOKENS_PER_GIB = 4096
"""256 KiB a token: 64 layers, 8 heads of 128, K and V, 2 bytes."""


class EngineExit(Exception):  # noqa: N818 - like SystemExit, an order and not an error
    """The engine ends with `code`."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Step:
    """A line, or a bar when `bar` names one; the fields are explained at the head of `startup.yaml`."""

    at: float
    text: str = ""
    process: str = "APIServer"
    source: str = ""
    step: str | None = None
    eager: bool = True
    bar: str | None = None
    until: float = 0.0
    total: int = 0
    halfway: str | None = None


def steps() -> tuple[Step, ...]:
    """What vLLM says while it starts, in order."""
    return tuple(Step(**entry) for entry in data.read("startup.yaml"))


async def play(options: EngineOptions, settings: RehearsalSettings, version: str) -> None:
    """Print the start-up in `load_seconds`. Raises EngineExit where the set failure ends the engine."""
    failure = settings.failure
    span = settings.load_seconds
    if failure and failure.when == "start":
        if failure.behaviour == "slow":
            span *= 10
        else:
            await fail(failure, options)
    words = _words(options, span, version)
    began = time.monotonic()

    async def reach(share: float) -> None:
        await asyncio.sleep(max(0.0, began + share * span - time.monotonic()))

    for step in steps():
        await reach(step.at)
        if failure and failure.when == "loading" and failure.step == step.step:
            await fail(failure, options)
        if options.enforce_eager and not step.eager:
            continue
        if step.bar is None:
            process = "EngineCore_0" if step.process == "EngineCore" else step.process
            log.say(process, "INFO", step.source, step.text.format_map(words))
            continue
        for done in range(step.total + 1):
            share = step.at + (step.until - step.at) * done / step.total
            await reach(share)
            log.draw_bar(step.bar, done, step.total, (share - step.at) * span)
            if failure and failure.step and failure.step == step.halfway and done == step.total // 2:
                log.say_plain("")
                await fail(failure, options)


async def fail(failure: Failure, options: EngineOptions) -> None:
    """Fail before serving: say why, then raise EngineExit, or say nothing more for ever."""
    tell(failure, options, "starting")
    if failure.behaviour == "hang":
        await asyncio.Event().wait()
    if failure.behaviour == "kill":
        _be_killed()
    raise EngineExit(failure.exit_code)


def tell(failure: Failure, options: EngineOptions, stage: str) -> None:
    """Print the failure's lines as vLLM would; `stage` is `starting` or `running`."""
    cause = filled(failure, options)
    if failure.speaker == "raw":
        log.say_plain(cause)
    elif failure.speaker == "server":
        log.say_plain("Traceback (most recent call last):\n" + cause, "APIServer")
    else:
        before = "\n".join(wrapper(f"core_{stage}"))
        log.say("EngineCore_0", "ERROR", "core.py:700", f"{before}\n{cause}")
        after = "\n".join(wrapper(f"server_{stage}")).format()
        if stage == "running":
            log.say("APIServer", "ERROR", "async_llm.py:430", after)
        else:
            log.say_plain(after, "APIServer")


def filled(failure: Failure, options: EngineOptions) -> str:
    """The failure's lines with the names of this start in them."""
    return failure.lines.format(
        model=options.model, host=options.host, port=options.port, max_model_len=options.max_model_len
    )


def end_now(failure: Failure, options: EngineOptions) -> NoReturn:
    """End the process on the spot, with whatever is in flight: killed, or with the failure's exit code."""
    tell(failure, options, "running")
    if failure.behaviour == "kill":
        _be_killed()
    os._exit(failure.exit_code)


def _be_killed() -> NoReturn:
    """End as by the kernel's out-of-memory killer. The first process of a container cannot kill itself."""
    os.kill(os.getpid(), signal.SIGKILL)
    os._exit(128 + signal.SIGKILL)


def _words(options: EngineOptions, span: float, version: str) -> Mapping[str, object]:
    kv_tokens = max(KV_TOKENS, options.max_model_len)
    return {
        "version": version,
        "arguments": dict(options.given),
        "model": options.model,
        "max_model_len": options.max_model_len,
        "tensor_parallel_size": options.given.get("tensor_parallel_size", 1),
        "enforce_eager": options.enforce_eager,
        "weights_seconds": 0.30 * span,
        "loading_seconds": 0.35 * span,
        "dynamo_seconds": 0.05 * span,
        "compile_seconds": 0.10 * span,
        "capture_seconds": 0.12 * span,
        "init_seconds": 0.38 * span,
        "kv_tokens": kv_tokens,
        "kv_gib": kv_tokens / KV_TOKENS_PER_GIB,
        "kv_blocks": kv_tokens // 16,
        "concurrency": kv_tokens / options.max_model_len,
        "address": f"unix:{options.uds}" if options.uds else f"http://{options.host}:{options.port}",
    }
