"""Fixes of findings keep the settings at hand."""

from __future__ import annotations

from stepaudio_serve.finding import Finding
from stepaudio_serve.lifecycle.prepare import pasteable
from stepaudio_serve.settings.options import Settings


def test_replacing_keeps_the_settings_and_other_fixes_are_left_alone() -> None:
    again = Finding("deployment", "engine", "note", "runs", "", "stepaudio-serve up --replace   # as here")
    other = Finding("port-taken", "address", "blocker", "held", "", "--port 9998")
    first, second = pasteable((again, other), Settings(engine="rehearsal", port=9990))
    assert first.fix.startswith("stepaudio-serve up --replace")
    assert "--engine rehearsal" in first.fix
    assert "--port 9990" in first.fix
    assert second is other
