"""The process runtime: the same arguments as a child process that outlives the command line.

For machines where no container can be started, and for the rehearsal engine. A deployment is a folder:
`record.json` (labels and process id), `engine.log`, and `exit_code` once it has ended. A folder is renamed
into place, so that of two starts at a time exactly one wins.
"""

from __future__ import annotations

import errno
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections import deque
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import RefusedError, SettingsError
from ..plan.labels import LABEL_PREFIX
from .deployment import Deployment, Exit, NameTakenError, gone

if TYPE_CHECKING:
    from collections.abc import Generator

    from ..plan.plan import Plan

# Runs the engine, lets it handle signals itself, and leaves its exit code behind for whoever asks later.
_SHELL = 'trap : TERM INT HUP; "$@"; echo $? > "$0"'
KILL_SECONDS = 10  # a killed process is gone in far less, unless the kernel holds it
FOLLOW_SECONDS = 0.1  # between two looks at a log that is followed
CHUNK_BYTES = 65536
SAME_START_SECONDS = 2  # the system's own start times waver with its clock
_OURS = ("STEPAUDIO_API_KEY", "STEPAUDIO_GUARD_")
"""Beginnings of variables that are this program's settings: what the engine needs of them is in the plan."""


class ProcessRuntime:
    """Deployments as child processes, each with a folder below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, name: str) -> Deployment | None:
        """The deployment of that name, or None."""
        folder = self._root / name
        try:
            record = json.loads((folder / "record.json").read_text("utf-8"))
        except FileNotFoundError:
            return None
        return _read(folder, record)

    def deployments(self) -> tuple[Deployment, ...]:
        """Every deployment of ours, by name."""
        if not self._root.is_dir():
            return ()
        names = sorted(item.parent.name for item in self._root.glob("[!.]*/record.json"))
        return tuple(found for name in names if (found := self.find(name)))

    def create(self, plan: Plan) -> Deployment:
        """Make the deployment's folder.

        Raises:
            NameTakenError: another start was faster.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        record = {
            "labels": dict(plan.labels),
            "argv": [*plan.entrypoint, *plan.command],
            "environment": dict(plan.environment),
        }
        with tempfile.TemporaryDirectory(dir=self._root, prefix=".new-") as fresh:
            folder = Path(fresh) / "deployment"
            folder.mkdir()
            _write_record(folder, record)
            try:
                folder.rename(self._root / plan.name)
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise
                raise NameTakenError(f"the name `{plan.name}` was taken just now") from error
        return _read(self._root / plan.name, record)

    def start(self, deployment: Deployment) -> Deployment:
        """Start the engine in a session of its own.

        Raises:
            RefusedError: the engine's program does not exist.
        """
        import psutil

        folder = self._root / deployment.name
        record = json.loads((folder / "record.json").read_text("utf-8"))
        argv = record["argv"]
        if shutil.which(argv[0]) is None:
            self.remove(deployment)
            raise RefusedError(f"there is no program `{argv[0]}`", why="it is not on PATH", fix="pip install vllm")
        with (folder / "engine.log").open("ab") as log:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _SHELL, str(folder / "exit_code"), *argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(record["environment"]),
                cwd=folder,
                start_new_session=True,
            )
        record |= {"pid": process.pid, "created": psutil.Process(process.pid).create_time()}
        _write_record(folder, record)
        process.returncode = 0  # it is meant to outlive us: no warning about a child that still runs
        return _read(folder, record)

    def hand_over(self, deployment: Deployment) -> str:
        """Note that it was ready once; nothing restarts a process."""
        try:
            (self._root / deployment.name / "handed_over").touch()
        except FileNotFoundError as error:
            raise gone(deployment) from error
        return ""

    def stop(self, deployment: Deployment, grace: int) -> None:
        """Ask the engine to end; kill what is left of its session after `grace` seconds."""
        if (shell := _process(deployment)) is not None:
            _ask_to_end(shell)
            _ends_within(deployment, grace)
        elif not deployment.id or _is_somebody_elses(deployment.id):
            return
        members = _members(int(deployment.id))
        with suppress(ProcessLookupError):
            os.killpg(int(deployment.id), signal.SIGKILL)
        for pid in members:  # the engine may hold its port for a moment longer than the shell lives
            _exits_within(pid, KILL_SECONDS)

    def remove(self, deployment: Deployment) -> None:
        """End the engine and remove its folder, unless another start has taken the name since."""
        self.stop(deployment, 0)
        current = self.find(deployment.name)
        if current is None or current.id != deployment.id:
            return
        with tempfile.TemporaryDirectory(dir=self._root, prefix=".old-", ignore_cleanup_errors=True) as aside:
            (self._root / deployment.name).rename(Path(aside) / "deployment")

    def logs(
        self, deployment: Deployment, *, follow: bool = False, tail: int | None = None, since: float | None = None
    ) -> Generator[bytes, None, None]:
        """The engine's output.

        Raises:
            SettingsError: `since` was given; a process's log has no times of its own.
            NoSuchDeploymentError: its folder has gone.
        """
        if since is not None:
            raise SettingsError(
                "--since needs the docker runtime", why="a process's log carries no times", fix="--tail 100"
            )
        log = self._root / deployment.name / "engine.log"
        try:
            log.touch()
        except FileNotFoundError as error:
            raise gone(deployment) from error
        with log.open("rb") as file:
            if tail is not None:
                _go_to_tail(file, tail)
            ended = not follow
            while True:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
                if ended:
                    return
                ended = _ends_within(deployment, FOLLOW_SECONDS)
                yield b""  # for whoever wants to leave while the engine is silent

    def wait(self, deployment: Deployment) -> Exit:
        """Block until the engine has ended."""
        _ends_within(deployment, None)
        return Exit(_exit_code(self._root / deployment.name))


def _go_to_tail(file: BinaryIO, lines: int) -> None:
    """Go to where the last `lines` lines begin, reading a log from its end."""
    end = file.seek(0, os.SEEK_END)
    tail, size = b"", 0
    while size < end and tail.count(b"\n", 0, -1) < lines:
        size = min(end, max(CHUNK_BYTES, 2 * size))
        file.seek(end - size)
        tail = file.read(size)
    file.seek(end - sum(map(len, deque(BytesIO(tail), maxlen=lines))))


def _environment(of_plan: dict[str, str]) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
    paths = [path for path in (of_plan.get("PYTHONPATH"), inherited.get("PYTHONPATH")) if path]
    return {**inherited, **of_plan, **({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})}


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    fresh = folder / ".record.json"
    fresh.write_text(json.dumps(record, ensure_ascii=False), "utf-8")
    fresh.replace(folder / "record.json")


def _read(folder: Path, record: dict[str, Any]) -> Deployment:
    labels = {key.removeprefix(LABEL_PREFIX): value for key, value in record["labels"].items()}
    seen = Deployment(
        name=labels["deployment"],
        runtime="process",
        engine="rehearsal" if labels["engine"] == "rehearsal" else "vllm",
        model=labels["model"],
        endpoint=labels["endpoint"],
        plan_hash=labels["plan-hash"],
        id=str(record.get("pid", "")),
        state="created",
        plan=json.loads(labels["plan"]),
        settings=json.loads(labels["settings"]),
        memory=json.loads(labels.get("memory", "{}")),
        started_at=record.get("created"),
        handed_over=(folder / "handed_over").exists(),
    )
    if "pid" not in record:
        return seen
    if _process(seen) is not None:
        return replace(seen, state="running")
    return replace(seen, state="exited", exit_code=_exit_code(folder))


def _process(deployment: Deployment) -> Any:
    """The live process, or None: a process id that was given to somebody else since does not count."""
    import psutil

    try:
        process = psutil.Process(int(deployment.id))
        apart = abs(process.create_time() - (deployment.started_at or 0))
        alive = apart <= SAME_START_SECONDS and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return None
    return process if alive else None


def _ends_within(deployment: Deployment, seconds: float | None) -> bool:
    """Whether the engine ends in time (None: however long it takes); one that nobody has reaped yet has ended."""
    return _process(deployment) is None or _exits_within(int(deployment.id), seconds)


def _exits_within(pid: int, seconds: float | None) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        ended = bool(waiting.poll(None if seconds is None else seconds * 1000))
    finally:
        os.close(handle)
    if ended:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return ended


def _members(group: int) -> list[int]:
    """The processes of a group, whoever their parents are by now."""
    import psutil

    found = []
    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) == group:
                found.append(pid)
    return found


def _ask_to_end(shell: Any) -> None:
    """Ask the engine alone, as a container engine does: it ends its own processes once its answers are finished."""
    import psutil

    with suppress(psutil.Error):
        for engine in shell.children():
            engine.terminate()


def _is_somebody_elses(pid: str) -> bool:
    """Whether the id of an ended engine was given to a new process; until then what is left of its group is ours."""
    import psutil

    try:
        return bool(psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _exit_code(folder: Path) -> int:
    try:
        return int((folder / "exit_code").read_text("ascii"))
    except (OSError, ValueError):
        return 137  # killed with the shell that would have noted it
