"""The same without the command line, with the rehearsal engine as a real process."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

import stepaudio_serve
from stepaudio_serve import Settings, down, gather, locate, make_plan, serve, status_of, up
from stepaudio_serve.errors import (
    EngineFailedError,
    NoSuchDeploymentError,
    PlanDiffersError,
    RefusedError,
    StepAudioError,
    TimedOutError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Configured = Callable[..., Settings]


def test_every_public_name_is_there() -> None:
    for name in stepaudio_serve.__all__:
        assert getattr(stepaudio_serve, name)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = stepaudio_serve.no_such_name


def test_a_plan_without_a_machine_to_run_it(rehearsal: Configured) -> None:
    settings = rehearsal(name="mine")
    plan = make_plan(settings, gather(settings))
    assert plan.name == "mine"
    assert plan == make_plan(settings, gather(settings))


def test_a_deployment_for_the_length_of_a_block(rehearsal: Configured) -> None:
    with serve(rehearsal()) as deployment:
        models = httpx.get(f"{deployment.endpoint}/v1/models").json()
        assert [model["id"] for model in models["data"]] == [deployment.model]
        assert status_of(*locate(deployment.name)).health == "healthy"
    with pytest.raises(httpx.ConnectError):
        httpx.get(deployment.endpoint)
    with pytest.raises(StepAudioError):
        locate(deployment.name)


def test_an_error_in_the_block_takes_it_down_too(rehearsal: Configured) -> None:
    with pytest.raises(LookupError), serve(rehearsal(canary="off")) as deployment:
        raise LookupError
    with pytest.raises(httpx.ConnectError):
        httpx.get(deployment.endpoint)


def test_what_ran_before_is_joined_and_left_running(rehearsal: Configured) -> None:
    settings = rehearsal(canary="off")
    first = up(settings)
    try:
        assert not first.already
        with serve(settings) as deployment:
            assert deployment.id == first.status.deployment.id
        again = up(settings)
        assert again.already
        assert again.status.health == "healthy"
    finally:
        down(*locate(settings.name), grace=5)


def test_another_plan_is_not_started_over_it_unless_told_to(rehearsal: Configured) -> None:
    first = up(rehearsal(canary="off"))
    other = rehearsal(canary="off", max_num_seqs=4)
    try:
        with pytest.raises(PlanDiffersError) as caught:
            up(other)
        assert caught.value.differences == (("--max-num-seqs", "32", "4"),)
        replaced = up(other, replace_existing=True)
        assert replaced.status.deployment.id != first.status.deployment.id
    finally:
        down(*locate(other.name), grace=5)


def test_of_two_at_once_one_starts_it_and_both_get_it(rehearsal: Configured) -> None:
    settings = rehearsal(canary="off")
    results: list[object] = []

    def start() -> None:
        try:
            results.append(up(settings).status.deployment.id)
        except StepAudioError as error:
            results.append(error)

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert len(results) == 3
        assert len(set(results)) == 1
        assert results[0] == locate(settings.name)[1].id
    finally:
        down(*locate(settings.name), grace=5)


def test_a_start_that_fails_says_why_and_keeps_its_log(rehearsal: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPAUDIO_REHEARSAL_FAIL", "wrong-arch")
    settings = rehearsal()
    with pytest.raises(EngineFailedError) as caught:
        up(settings)
    assert caught.value.diagnoses
    assert caught.value.log_tail
    runtime, left = locate(settings.name)
    assert left.state == "exited"
    assert b"Supported architectures" in b"".join(runtime.logs(left))
    monkeypatch.delenv("STEPAUDIO_REHEARSAL_FAIL")
    assert up(settings).status.health == "healthy"  # the next start takes its place
    down(*locate(settings.name), grace=5)


def test_a_start_that_takes_too_long_is_stopped(rehearsal: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPAUDIO_REHEARSAL_LOAD_SECONDS", "60")
    settings = rehearsal(ready_timeout=1)
    with pytest.raises(TimedOutError):
        up(settings)
    assert locate(settings.name)[1].state == "exited"
    down(*locate(settings.name), grace=5)


def test_a_port_that_is_held_is_refused_before_anything_is_created(rehearsal: Configured) -> None:
    with serve(rehearsal(canary="off", name="holder")):
        with pytest.raises(RefusedError) as caught:
            up(rehearsal(name="other"))
        assert [finding.id for finding in caught.value.findings if finding.level == "blocker"] == ["port-taken"]
        assert "pid" in caught.value.what


def test_without_docker_a_name_that_is_nobodys_says_that_containers_could_not_be_seen(rehearsal: Configured) -> None:
    with pytest.raises(RefusedError, match="DOCKER_HOST"):
        locate(rehearsal().name)
    assert issubclass(NoSuchDeploymentError, LookupError)


def test_a_key_is_asked_for_and_kept_for_a_restart(rehearsal: Configured) -> None:
    settings = rehearsal(api_key="k-1234")
    with serve(settings) as deployment:
        assert httpx.get(f"{deployment.endpoint}/v1/models").status_code == 401
        allowed = httpx.get(f"{deployment.endpoint}/v1/models", headers={"Authorization": "Bearer k-1234"})
        assert allowed.status_code == 200
        with pytest.raises(PlanDiffersError, match="another plan") as caught:
            up(rehearsal(api_key="k-other"))
        assert "k-1234" not in str(caught.value.differences)


def test_the_examples_of_the_documentation_run(rehearsal: Configured, free_port: int, tmp_path: Path) -> None:
    page = Path(__file__).parents[1] / "docs" / "library.md"
    first, second = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    shutil.copy(Path(stepaudio_serve.__file__).parent / "startup" / "canary.wav", tmp_path / "clip.wav")

    def run(code: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    assert run(first.replace("9997", str(free_port))) == f"http://127.0.0.1:{free_port}\n"
    with serve(rehearsal()):
        assert "Clip 1: 2.88 s" in run(second)
