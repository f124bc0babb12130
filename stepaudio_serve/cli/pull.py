"""`pull`."""

from __future__ import annotations

import click


@click.command("pull")
def command() -> None:
    """Fetch the checkpoint and the image."""
    raise NotImplementedError
