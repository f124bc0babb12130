"""Versions and compute capabilities, as numbers that compare."""

from __future__ import annotations

import re


def version(text: str) -> tuple[int, ...]:
    """The numbers of `570.86.10` or `12.0`; empty where there are none, which is older than anything."""
    return tuple(int(number) for number in re.findall(r"\d+", text))


def older(one: str, other: str) -> bool:
    """Whether one version is before another, as far as both are given: 570.86 is not older than 570."""
    mine, its = version(one), version(other)
    return bool(mine) and mine + (0,) * (len(its) - len(mine)) < its
