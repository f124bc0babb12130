"""A log line without its decoration: colours, time stamps, and what log collectors and vLLM put in front."""

from __future__ import annotations

import re

_COLOUR = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
_SERVICE = re.compile(r"[\w.-]+\s+\| ")
"""Compose puts `vllm-1  | ` in front of every line."""
_JOURNAL = re.compile(r"\w{3,5}\.? +\d+ \d\d:\d\d:\d\d \S+ [^\s\[]+\[\d+\]: ")
"""What `journalctl` puts in front: date, host, program."""
_CLOCK = re.compile(r"\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\]?\s+")
"""What `docker logs --timestamps` and most log collectors put in front."""
_PROCESS = re.compile(r"\([A-Za-z]\w*(?: \w+=\d+)+\) ?")
"""vLLM's process, for example `(EngineCore_0 pid=44)`."""
_HEAD = re.compile(
    r"(?P<vllm>DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[^\]\s]+:\d+\] ?"
    r"|(?P<uvicorn>DEBUG|INFO|ERROR|CRITICAL):  +"
)
"""The level and place in front of vLLM's own lines, and the level in front of uvicorn's."""


def plain(line: str) -> str:
    """Return what `line` says, without decoration; of a progress bar redrawn with `\\r`, its last state."""
    return split_level(line)[1]


def split_level(line: str) -> tuple[str, str]:
    """Return the logging level that `line` declares (empty if none) and what it says.

    The level is one of DEBUG, INFO, WARNING, ERROR, CRITICAL.
    """
    said = last_drawn(line)
    if "\x1b" in said:
        said = _COLOUR.sub("", said)
    start = 0
    for decoration in (_SERVICE, _JOURNAL, _CLOCK, _PROCESS):
        if found := decoration.match(said, start):
            start = found.end()
    level = ""
    if head := _HEAD.match(said, start):
        level = head["vllm"] or head["uvicorn"]
        start = head.end()
    return level, said[start:].rstrip()


def last_drawn(line: str) -> str:
    """Return the last non-empty of the states that `\\r` drew over each other."""
    if "\r" not in line:
        return line
    return next((state for state in reversed(line.split("\r")) if state.strip()), "")
