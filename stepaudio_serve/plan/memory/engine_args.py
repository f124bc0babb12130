"""What arguments handed through to the engine change in the sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BEYOND_THE_ESTIMATE = {
    "--pipeline-parallel-size",
    "-pp",
    "--data-parallel-size",
    "-dp",
    "--kv-cache-memory-bytes",
    "--num-gpu-blocks-override",
    "--config",
}
"""With these the sum is another one, or not to be known."""


@dataclass(frozen=True, slots=True)
class EngineArgs:
    """The engine arguments that count.

    Bytes of one number in the KV cache; whether CUDA graphs are captured and the encoder's peak is measured; GiB of
    weights that a GPU leaves in the host's memory; and the flags that are beyond the estimate.
    """

    kv_number_bytes: int = 2
    graphs: bool = True
    encoder_measured: bool = True
    offloaded_gib: float = 0.0
    beyond: tuple[str, ...] = ()


def read_engine_args(words: Sequence[str]) -> EngineArgs:
    """Find them; a value that is no number counts as if it were not given, for the engine refuses it."""
    if not words:
        return EngineArgs()
    given = dict(_pairs(words))
    return EngineArgs(
        kv_number_bytes=1 if given.get("--kv-cache-dtype", "").startswith("fp8") else 2,
        graphs=given.get("--enforce-eager", "false") == "false",
        encoder_measured=given.get("--skip-mm-profiling", "false") == "false",
        offloaded_gib=_number(given.get("--cpu-offload-gb", "")),
        beyond=tuple(flag for flag in given if flag in BEYOND_THE_ESTIMATE),
    )


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each flag with its value; a switch has `true`, or `false` behind `--no-`."""
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if not word.startswith("-"):
            continue
        name, equals, value = word.partition("=")
        flag = "--" + name[2:].replace("_", "-") if name.startswith("--") else name
        if equals or (after and not after.startswith("-")):
            yield flag, value if equals else after
        elif flag.startswith("--no-"):
            yield "--" + flag.removeprefix("--no-"), "false"
        else:
            yield flag, "true"


def _number(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0
