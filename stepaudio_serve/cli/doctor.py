"""`doctor`: every check in one table."""

from __future__ import annotations

import json
import shlex
import sys
from collections import Counter
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import SettingsError
from ..settings.profiles import best_match, load_profile
from .options import SettingsCommand, facts_flag, settings_flags, settings_from
from .output import data, document, mark, notice, paint, prose
from .plan import machine_meant
from .selection import json_flag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..facts.gather import Facts
    from ..finding import Finding

GROUP_WIDTH = 12
INDENT = " " * (GROUP_WIDTH + 2)
LABEL = "fix  "


@click.command("doctor", cls=SettingsCommand)
@settings_flags
@facts_flag("Check the machine whose facts FILE holds, instead of this one.")
@click.option(
    "--save-facts",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write this machine's facts to FILE, for --facts elsewhere.",
)
@json_flag
@click.pass_obj
def command(
    engine_args: tuple[str, ...],
    /,
    *,
    facts_file: Path | None,
    save_facts: Path | None,
    as_json: bool,
    **flags: Any,
) -> int:
    """Check this machine: what would stop a start, and what to type.

    Looks and never touches. Exit code 3 when something stands against a start.
    """
    from ..lifecycle.doctor import doctor
    from ..lifecycle.pasteable import up_command

    resolved = settings_from(flags, engine_args)
    checkup = doctor(resolved.settings, machine=machine_meant(facts_file, None))
    used = any(origin.source == "profile" for origin in resolved.origins.values())
    profile = None if used else best_match(checkup.facts.gpus.found)
    if save_facts is not None:
        _save(checkup.facts, save_facts)
    if as_json:
        document({"findings": [asdict(item) for item in checkup.findings], "ok": checkup.ok, "profile": profile})
    else:
        _show(checkup.findings, profile, up_command(resolved.settings.to_label()))
    return 0 if checkup.ok else 3


def _save(facts: Facts, path: Path) -> None:
    """Whole or not at all; a file that is there is written over.

    Raises:
        SettingsError: the folder is not there, or may not be written into.
    """
    import os
    import tempfile

    from ..facts.recorded import to_document

    folder = path.absolute().parent
    try:
        descriptor, fresh = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
    except OSError as error:
        why = f"{folder}: {error.strerror}"
        fix = f"ls -ld {shlex.quote(str(folder))}" if folder.exists() else f"mkdir -p {shlex.quote(str(folder))}"
        raise SettingsError(f"the facts cannot be written to {path}", why=why, fix=fix) from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(to_document(facts), indent=2, ensure_ascii=False) + "\n")
        Path(fresh).chmod(0o644)
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise
    notice(f"the facts of this machine are in {path}")


def _show(findings: Sequence[Finding], profile: str | None, start: str) -> None:
    for group, members in groupby(findings, key=lambda finding: finding.group):
        for number, finding in enumerate(members):
            head = "" if number else group
            what = prose(finding.what, sys.stdout, indent=INDENT)
            data(f"{paint(head.ljust(GROUP_WIDTH), 'bold', sys.stdout)}{mark(finding.level, sys.stdout)} {what}")
            if finding.level != "ok":
                _below("why", finding.why)
                _below("fix", finding.fix, whole=True)
    data("")
    if profile:
        notice(f"the profile {profile} is made for this machine: --profile {profile}", stream=sys.stdout)
        if caveat := load_profile(profile).caveat:
            notice(f"{profile}: {caveat}", stream=sys.stdout)
    _tell_the_sum(findings, start)


def _below(label: str, text: str, *, whole: bool = False) -> None:
    """A row below a finding; a `whole` one can be pasted."""
    if text:
        shown = text if whole else prose(text, sys.stdout, indent=INDENT + " " * len(LABEL))
        data(f"{INDENT}{paint(label.ljust(len(LABEL)), 'dim', sys.stdout)}{shown}")


def _tell_the_sum(findings: Sequence[Finding], start: str) -> None:
    counts = Counter(finding.level for finding in findings)
    against = ", ".join(
        f"{counts[level]} {level}{'s' if counts[level] > 1 else ''}"
        for level in ("blocker", "warning")
        if counts[level]
    )
    if counts["blocker"]:
        notice(against, level="blocker", stream=sys.stdout)
    else:
        ready = f"ready, with {against}" if against else "ready"
        data(f"{mark('ok', sys.stdout)} {ready}: {start}")
