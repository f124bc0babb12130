"""What `up` says of findings while it goes ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepaudio_serve.cli.progress import PlainObserver
from stepaudio_serve.finding import Finding

if TYPE_CHECKING:
    import pytest


def test_the_reason_stands_on_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    PlainObserver().findings(
        [Finding("a", "gpu", "warning", "GPU 1: no answer", "the driver hangs"), Finding("b", "gpu", "note", "b")]
    )
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines] == ["GPU 1: no answer", "the driver hangs", "b"]
