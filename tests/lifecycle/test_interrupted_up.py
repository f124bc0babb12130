"""`up` whose observer can no longer be told anything, and starts that race for a name."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stepaudio_serve import Observer, down, locate, up
from stepaudio_serve.errors import PlanDiffersError
from stepaudio_serve.lifecycle.prepare import prepare
from stepaudio_serve.runtime.choose import process_runtime
from stepaudio_serve.runtime.files import write_files, write_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepaudio_serve import Settings

    Configured = Callable[..., Settings]


class Gone(Observer):
    """Writes to a terminal that was closed once the engine has started."""

    def started(self) -> None:
        raise OSError(errno.EIO, "Input/output error")

    def notice(self, text: str) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_with_nobody_to_tell_what_was_started_is_removed(rehearsal: Configured) -> None:
    with pytest.raises(OSError, match="Input/output"):
        up(rehearsal(), observer=Gone())
    assert process_runtime().deployments() == ()


def test_the_slower_of_two_starts_leaves_the_key_of_the_faster_alone(rehearsal: Configured) -> None:
    fast, slow = (prepare(rehearsal(api_key=key)).plan for key in ("fast", "slow"))
    write_files(fast, "fast")
    write_key(fast, "fast")
    write_files(slow, "slow")  # before it finds the name taken
    assert fast.key_file is not None
    assert Path(fast.key_file).read_text() == "fast\n"
    assert Path(fast.key_file).stat().st_mode & 0o777 == 0o600


def test_another_plan_is_refused_with_a_command_to_paste(rehearsal: Configured) -> None:
    up(rehearsal(canary="off"))
    other = rehearsal(canary="off", max_num_seqs=4, guard=False, engine_args=("--max-log-len", "10"))
    try:
        with pytest.raises(PlanDiffersError) as caught:
            up(other)
        assert caught.value.fix.startswith("stepaudio-serve up --replace --engine rehearsal ")
        assert f"--port {other.port} --no-guard --max-num-seqs 4" in caught.value.fix
        assert "-- --max-log-len 10" in caught.value.fix
    finally:
        down(*locate(other.name), grace=0)


def test_the_files_of_the_two_runtimes_are_apart(rehearsal: Configured) -> None:
    in_process = prepare(rehearsal()).plan
    assert in_process.files_source
    assert "/deployments/" not in in_process.files_source
