"""`diagnose`: the catalogue of known failures, on any log."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TextIO

import click

from .output import data, document, notice, row
from .selection import json_flag


@click.command("diagnose")
@click.argument("log", type=click.File("r", errors="replace"), metavar="LOGFILE|-")
@json_flag
def command(log: TextIO, as_json: bool) -> None:
    """Explain a log by the catalogue of known failures."""
    from ..diagnosis import diagnose, redact

    found = diagnose(log)
    if as_json:
        document({"diagnoses": [asdict(item) for item in found]})
        return
    if not found:
        notice("nothing in this log is in the catalogue")
    for item in found:
        data(f"{item.severity}: {item.cause}")
        if item.evidence is not None:
            data(f"  line {item.evidence.line}: {redact(item.evidence.text.strip())}")
        row("fix", item.fix, stream=sys.stdout, whole=True)
