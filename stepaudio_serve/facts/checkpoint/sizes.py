"""Bytes in words."""

from __future__ import annotations


def in_words(number: int) -> str:
    """A number of bytes as one reads it: `4.92 GB`, in powers of 1000 as the Hub counts."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            count = number / size
            return f"{count:.0f} {unit}" if count >= 100 else f"{count:.3g} {unit}"
    return "1 byte" if number == 1 else f"{number} bytes"
