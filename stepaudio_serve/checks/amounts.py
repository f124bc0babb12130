"""Amounts in words."""

from __future__ import annotations

GIB = 2**30


def gigabytes(count: float) -> str:
    """Bytes on a disk or of a download, decimal as disks and the Hub count."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def gibibytes(mib: float) -> str:
    """Memory given in MiB."""
    return f"{mib / 1024:.1f} GiB"


def listed(names: list[str], *, most: int = 3) -> str:
    """The first few of many names."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
