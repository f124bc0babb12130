"""The process runtime with real child processes."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest
from support.facts import facts

from stepaudio_serve.errors import NoSuchDeploymentError, RefusedError, SettingsError
from stepaudio_serve.plan.build import make_plan
from stepaudio_serve.runtime.deployment import Exit, NameTakenError, find_settled
from stepaudio_serve.runtime.process import ProcessRuntime
from stepaudio_serve.settings.options import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from stepaudio_serve.plan.plan import Plan
    from stepaudio_serve.runtime.deployment import Deployment

SLEEP = "echo up; exec sleep 600"
STUBBORN = "trap '' TERM; (trap '' TERM; sleep 600) & echo up; while :; do sleep 600; done"


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[ProcessRuntime]:
    made = ProcessRuntime(tmp_path / "processes with a space")
    yield made
    for left in made.deployments():
        made.remove(left)


def plan(script: str, name: str = "mine", **environment: str) -> Plan:
    """A plan whose engine is a shell script."""
    base = make_plan(Settings(runtime="process", name=name), facts())
    changed = replace(base, entrypoint=("/bin/sh",), command=("-c", script), environment=environment)
    return changed.labelled({"name": name})


def started(runtime: ProcessRuntime, script: str, **environment: str) -> Deployment:
    return runtime.start(runtime.create(plan(script, **environment)))


def gated(runtime: ProcessRuntime, script: str) -> Deployment:
    """Started; `read line < gate` in its script goes on once the gate is opened."""
    created = runtime.create(plan(script))
    os.mkfifo(runtime._root / "mine" / "gate")
    return runtime.start(created)


def open_gate(runtime: ProcessRuntime) -> None:
    (runtime._root / "mine" / "gate").write_text("go\n")


def log(runtime: ProcessRuntime, deployment: Deployment, **how: int) -> str:
    return b"".join(runtime.logs(deployment, tail=how.get("tail"))).decode()


def eventually(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def found(runtime: ProcessRuntime) -> Deployment:
    deployment = runtime.find("mine")
    assert deployment is not None
    return deployment


def says_up(runtime: ProcessRuntime, deployment: Deployment) -> Deployment:
    eventually(lambda: "up" in log(runtime, deployment))
    return deployment


# ---- life


def test_created_running_exited(runtime: ProcessRuntime) -> None:
    assert runtime.find("mine") is None
    created = runtime.create(plan("exit 3"))
    assert (created.state, created.id) == ("created", "")
    runtime.remove(created)
    running = gated(runtime, "read line < gate; exit 3")
    assert running.state == found(runtime).state == "running"
    open_gate(runtime)
    assert runtime.wait(running) == Exit(3)
    ended = found(runtime)
    assert (ended.state, ended.exit_code) == ("exited", 3)


def test_a_deployment_is_read_back_as_it_was_planned(runtime: ProcessRuntime) -> None:
    started(runtime, SLEEP)
    seen = found(runtime)
    assert seen.plan_hash == plan(SLEEP).hash
    assert seen.settings == {"name": "mine"}
    assert seen.plan["command"] == ["-c", SLEEP]
    assert runtime.deployments() == (seen,)


def test_it_is_not_handed_over_until_it_is(runtime: ProcessRuntime) -> None:
    deployment = started(runtime, SLEEP)
    assert not found(runtime).handed_over
    runtime.hand_over(deployment)
    assert found(runtime).handed_over


def test_it_survives_the_process_that_started_it(runtime: ProcessRuntime, tmp_path: Path) -> None:
    record = runtime.create(plan(SLEEP))
    starter = (
        "import sys; from pathlib import Path; from stepaudio_serve.runtime.process import ProcessRuntime\n"
        "runtime = ProcessRuntime(Path(sys.argv[1])); runtime.start(runtime.find('mine'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", starter, str(runtime._root)], capture_output=True, check=True, start_new_session=True
    )
    assert done.stderr == b""
    assert record.state == "created"
    survivor = says_up(runtime, found(runtime))
    assert survivor.state == "running"
    assert os.getsid(int(survivor.id)) == int(survivor.id)  # a session of its own: a closed terminal does not reach it


def test_the_environment_is_the_plans_on_top_of_ours_without_our_key(
    runtime: ProcessRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPAUDIO_API_KEY", "k-secret")
    monkeypatch.setenv("STEPAUDIO_GUARD_MAX_TOKENS", "auto")
    monkeypatch.setenv("INHERITED", "yes")
    monkeypatch.setenv("PYTHONPATH", "/theirs")
    deployment = started(runtime, "env", MINE="1", PYTHONPATH="/ours")
    runtime.wait(deployment)
    lines = log(runtime, deployment).splitlines()
    assert {"MINE=1", "INHERITED=yes", "PYTHONPATH=/ours:/theirs"} <= set(lines)
    assert "k-secret" not in "".join(lines)
    assert "STEPAUDIO_GUARD_MAX_TOKENS=auto" not in lines  # a setting: the plan has what the guard needs of it


def test_a_program_that_does_not_exist_is_refused_and_leaves_nothing(runtime: ProcessRuntime) -> None:
    absent = replace(plan(""), entrypoint=("no-such-program",))
    with pytest.raises(RefusedError, match="no-such-program"):
        runtime.start(runtime.create(absent))
    assert runtime.find("mine") is None


# ---- names


def test_of_two_creates_at_once_exactly_one_wins(runtime: ProcessRuntime) -> None:
    results: list[str] = []
    together = threading.Barrier(8)

    def create() -> None:
        together.wait()
        try:
            results.append(runtime.create(plan(SLEEP)).name)
        except NameTakenError:
            results.append("taken")

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["mine"] + ["taken"] * 7
    assert [item.name for item in runtime._root.iterdir()] == ["mine"]


def test_a_folder_that_cannot_be_written_is_not_a_name_taken(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        ProcessRuntime(tmp_path / "file" / "processes").create(plan(SLEEP))


def test_a_deployment_that_is_being_created_is_seen_once_it_is_started(runtime: ProcessRuntime) -> None:
    created = runtime.create(plan(SLEEP))
    threading.Timer(0.2, runtime.start, args=(created,)).start()
    settled = find_settled(runtime, "mine")
    assert settled is not None
    assert settled.state == "running"
    assert find_settled(runtime, "nobody") is None


# ---- logs


def test_both_streams_are_kept_with_what_it_ended_on(runtime: ProcessRuntime) -> None:
    deployment = started(runtime, "echo one; echo two >&2; printf three; exit 1")
    runtime.wait(deployment)
    assert log(runtime, deployment) == "one\ntwo\nthree"
    assert log(runtime, deployment, tail=1) == "three"


def test_a_followed_log_comes_as_it_is_written_and_ends_with_the_engine(runtime: ProcessRuntime) -> None:
    deployment = gated(runtime, "echo one; read line < gate; echo two")
    pieces = runtime.logs(deployment, follow=True, tail=10)
    assert b"".join(itertools.takewhile(lambda piece: piece != b"one\n", pieces)) == b""
    open_gate(runtime)
    assert b"".join(pieces) == b"two\n"


@pytest.mark.parametrize("lines", [0, 1, 7, 30_000, 40_000, 50_000])
def test_the_tail_is_read_from_the_end(runtime: ProcessRuntime, lines: int) -> None:
    deployment = started(runtime, "seq 40000; printf 'half a line'")
    runtime.wait(deployment)
    whole = [*map(str, range(1, 40_001)), "half a line"]
    assert log(runtime, deployment, tail=lines).splitlines() == (whole[-lines:] if lines else [])


def test_what_was_removed_meanwhile_has_no_log_and_is_not_handed_over(runtime: ProcessRuntime) -> None:
    deployment = started(runtime, SLEEP)
    runtime.remove(deployment)
    with pytest.raises(NoSuchDeploymentError, match="taken down"):
        next(runtime.logs(deployment))
    with pytest.raises(NoSuchDeploymentError, match="taken down"):
        runtime.hand_over(deployment)


def test_times_are_not_known_and_said_so(runtime: ProcessRuntime) -> None:
    deployment = started(runtime, SLEEP)
    with pytest.raises(SettingsError, match="--since"):
        next(runtime.logs(deployment, since=1.0))


def test_before_the_start_the_log_is_empty(runtime: ProcessRuntime) -> None:
    assert log(runtime, runtime.create(plan(SLEEP))) == ""


# ---- ends


def test_kill_9_is_seen(runtime: ProcessRuntime) -> None:
    deployment = says_up(runtime, started(runtime, SLEEP))
    os.killpg(int(deployment.id), signal.SIGKILL)
    assert runtime.wait(deployment) == Exit(137)
    assert (found(runtime).state, found(runtime).exit_code) == ("exited", 137)


def test_kill_9_of_the_engine_alone_is_seen(runtime: ProcessRuntime) -> None:
    deployment = says_up(runtime, started(runtime, SLEEP))
    for child in psutil.Process(int(deployment.id)).children(recursive=True):
        child.kill()
    assert runtime.wait(deployment) == Exit(137)


def test_a_stop_lets_the_engine_finish(runtime: ProcessRuntime) -> None:
    script = "trap 'echo drained; exit 0' TERM; echo up; while :; do sleep 0.02; done"
    deployment = says_up(runtime, started(runtime, script))
    runtime.stop(deployment, 20)
    assert log(runtime, deployment).endswith("drained\n")
    assert (found(runtime).state, found(runtime).exit_code) == ("exited", 0)


def test_a_stop_asks_the_engine_and_not_its_own_processes(runtime: ProcessRuntime) -> None:
    core = "(trap 'echo core asked' TERM; echo up; while :; do sleep 0.02; done) &"
    script = f"{core} trap 'echo drained; kill -9 $!; exit 0' TERM; while :; do sleep 0.02; done"
    deployment = says_up(runtime, started(runtime, script))
    runtime.stop(deployment, 20)
    assert log(runtime, deployment) == "up\ndrained\n"


def test_after_the_grace_the_whole_group_is_killed(runtime: ProcessRuntime) -> None:
    deployment = says_up(runtime, started(runtime, STUBBORN))
    family = psutil.Process(int(deployment.id)).children(recursive=True)
    assert len(family) >= 2
    runtime.stop(deployment, 0)
    assert found(runtime).state == "exited"
    eventually(lambda: not any(map(lives, family)))


def test_an_engine_that_lost_its_shell_is_still_ended(runtime: ProcessRuntime) -> None:
    deployment = says_up(runtime, started(runtime, SLEEP))
    (engine,) = psutil.Process(int(deployment.id)).children(recursive=True)
    os.kill(int(deployment.id), signal.SIGKILL)
    runtime.wait(deployment)
    assert lives(engine)
    runtime.remove(found(runtime))
    eventually(lambda: not lives(engine))


def test_removal_ends_it_and_takes_its_folder(runtime: ProcessRuntime) -> None:
    deployment = says_up(runtime, started(runtime, SLEEP))
    process = psutil.Process(int(deployment.id))
    runtime.remove(deployment)
    assert runtime.find("mine") is None
    assert not lives(process)
    assert list(runtime._root.iterdir()) == []


def test_a_removal_that_comes_late_leaves_the_next_deployment_alone(runtime: ProcessRuntime) -> None:
    first = started(runtime, "exit 1")
    runtime.wait(first)
    runtime.remove(first)
    second = says_up(runtime, started(runtime, SLEEP))
    runtime.remove(first)
    assert found(runtime) == second


def test_a_process_id_that_was_given_to_somebody_else_is_not_ours(runtime: ProcessRuntime) -> None:
    started(runtime, "exit 0")
    runtime.wait(found(runtime))
    somebody = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        record_file = runtime._root / "mine" / "record.json"
        record = json.loads(record_file.read_text())
        record_file.write_text(json.dumps({**record, "pid": somebody.pid, "created": record["created"] - 3600}))
        assert found(runtime).state == "exited"
        runtime.remove(found(runtime))
        assert somebody.poll() is None
    finally:
        somebody.kill()
        somebody.wait()
