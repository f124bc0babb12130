"""Why no container engine answers: near-identical failures, each with a kind and a fix of its own."""

from __future__ import annotations

import grp
import json
import os
import pwd
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from stepaudio_serve.errors import RuntimeUnavailableError
from stepaudio_serve.facts.engine import ANSWER_SECONDS, connect
from stepaudio_serve.facts.engine_problem import (
    Membership,
    Target,
    answers,
    engine_problem,
    gave_no_answer,
    no_permission,
    usual_addresses,
)

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import EngineStandin

    from stepaudio_serve.facts.engine_problem import EngineProblem

ABORTED = "Error while fetching server API version: ('Connection aborted.', {})"
NO_SOCKET = ABORTED.format("FileNotFoundError(2, 'No such file or directory')")
REFUSED = ABORTED.format("ConnectionRefusedError(111, 'Connection refused')")
FORBIDDEN = ABORTED.format("PermissionError(13, 'Permission denied')")
TOO_LATE = "Error while fetching server API version: UnixHTTPConnectionPool: Read timed out. (read timeout=10)"
STANDARD = Target("unix:///var/run/docker.sock", context="default")


def with_docker(folder: Path, monkeypatch: pytest.MonkeyPatch, *, installed: bool) -> None:
    monkeypatch.setenv("PATH", str(folder))
    if installed:
        (folder / "docker").write_text("#!/bin/sh\n")
        (folder / "docker").chmod(0o755)


@pytest.mark.parametrize(
    ("message", "installed", "kind", "why", "fix"),
    [
        (NO_SOCKET, False, "not-installed", "Docker is not installed", "get.docker.com"),
        (NO_SOCKET, True, "daemon-down", "installed, but not started", "systemctl start docker"),
        (REFUSED, True, "daemon-down", "nothing listens", "systemctl start docker"),
        (TOO_LATE, True, "timed-out", "gives no answer in time", "docker info"),
        ("a surprise\nin two lines", True, "other", "a surprise", "systemctl start docker"),
    ],
)
def test_the_usual_engine_does_not_answer(
    message: str, installed: bool, kind: str, why: str, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_docker(tmp_path, monkeypatch, installed=installed)
    problem = engine_problem(message, STANDARD)
    assert problem.kind == kind
    assert problem.what == "no Docker Engine answers"
    assert why in problem.why
    assert "\n" not in problem.why
    assert fix in problem.fix


def test_an_address_of_ones_own_is_named(tmp_path: Path) -> None:
    by_variable = engine_problem(NO_SOCKET, Target(f"unix://{tmp_path}/x", variable=True))
    assert (by_variable.kind, by_variable.fix) == ("daemon-down", "unset DOCKER_HOST")
    assert f"DOCKER_HOST=unix://{tmp_path}/x" in by_variable.what
    by_context = engine_problem(REFUSED, Target("tcp://box:2375", context="box"))
    assert "tcp://box:2375, the docker context `box`" in by_context.what
    assert by_context.fix == "docker context use default"


def test_an_engine_over_ssh_is_refused_as_such() -> None:
    problem = engine_problem("Install paramiko package", Target("ssh://me@box", variable=True))
    assert (problem.kind, problem.fix) == ("remote", "unset DOCKER_HOST")
    assert "paramiko" not in problem.why


def test_what_hangs_and_was_chosen_by_the_variable_is_left_by_unsetting_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine_problem(TOO_LATE, Target("unix:///hangs", variable=True)).fix == "unset DOCKER_HOST"
    monkeypatch.setenv("DOCKER_HOST", "unix:///hangs")
    assert gave_no_answer("gave no answer within 3 s").fix == "unset DOCKER_HOST"


def test_another_engine_answers(engine_standin: EngineStandin) -> None:
    others = ["unix:///absent.sock", engine_standin.address]
    by_variable = engine_problem(REFUSED, Target("tcp://box:2375", variable=True), others=others)
    assert by_variable.kind == "wrong-host"
    assert engine_standin.address in by_variable.why
    assert by_variable.fix == f"export DOCKER_HOST={engine_standin.address}"
    by_context = engine_problem(REFUSED, Target("tcp://box:2375", context="box"), others=others)
    assert by_context.kind == "wrong-context"
    usual = engine_problem(NO_SOCKET, STANDARD, others=others)
    assert (usual.kind, usual.fix) == ("wrong-context", f"export DOCKER_HOST={engine_standin.address}")


@pytest.mark.docker
def test_the_standard_engine_answers_instead() -> None:
    if not answers(STANDARD.address):
        pytest.skip("needs a Docker Engine at its usual socket")
    by_variable = engine_problem(REFUSED, Target("tcp://box:2375", variable=True), others=usual_addresses())
    assert (by_variable.kind, by_variable.fix) == ("wrong-host", "unset DOCKER_HOST")
    by_context = engine_problem(REFUSED, Target("tcp://box:2375", context="box"), others=usual_addresses())
    assert (by_context.kind, by_context.fix) == ("wrong-context", "docker context use default")


def test_the_engine_that_failed_is_not_offered_again(engine_standin: EngineStandin) -> None:
    asked = Target(engine_standin.address, variable=True)
    assert engine_problem(REFUSED, asked, others=[engine_standin.address]).kind == "daemon-down"


def test_what_hangs_does_not_answer(engine_standin: EngineStandin) -> None:
    assert answers(engine_standin.address)
    with engine_standin.hangs():
        assert not answers(engine_standin.address)


@pytest.mark.parametrize(
    ("membership", "why", "fix"),
    [
        (Membership("docker", belongs=False, has=False), "not in the group docker", "sudo usermod -aG docker $USER"),
        (Membership("docker", belongs=True, has=False), "this login does not have it yet", "newgrp docker"),
        (Membership("docker", belongs=True, has=True), "refused access", "ls -l /var/run/docker.sock"),
        (Membership("", belongs=False, has=False), "refused access", "ls -l /var/run/docker.sock"),
    ],
)
def test_a_user_who_may_not_is_told_which_step_is_missing(membership: Membership, why: str, fix: str) -> None:
    problem = no_permission(STANDARD, membership)
    assert problem.kind == "no-permission"
    assert why in problem.why
    assert problem.fix.startswith(fix)


def test_the_group_is_the_sockets_own(tmp_path: Path) -> None:
    mine = pwd.getpwuid(os.getuid())
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        membership = Membership.of(path)
    if stat.S_ISSOCK(path.stat().st_mode) and path.stat().st_gid == 0:
        assert membership.group == ""  # root's: nobody is told to join that
    else:
        assert membership.group == grp.getgrgid(path.stat().st_gid).gr_name
        assert membership.belongs == (path.stat().st_gid == mine.pw_gid)


def test_a_socket_that_cannot_be_seen_is_taken_to_be_dockers(tmp_path: Path) -> None:
    assert Membership.of(tmp_path / "absent") == Membership("docker", belongs=False, has=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root is refused nothing")
def test_a_socket_that_refuses(engine_standin: EngineStandin, monkeypatch: pytest.MonkeyPatch) -> None:
    engine_standin.socket.chmod(0o000)
    monkeypatch.setenv("DOCKER_HOST", engine_standin.address)
    assert problem_of_connecting().kind == "no-permission"


def problem_of_connecting(*, seconds: int = 10) -> EngineProblem:
    with pytest.raises(RuntimeUnavailableError) as caught:
        connect(seconds=seconds)
    problem = caught.value.problem
    assert problem is not None
    assert (caught.value.what, caught.value.why, caught.value.fix) == (problem.what, problem.why, problem.fix)
    return problem


def test_connecting_to_what_is_not_there(
    tmp_path: Path, no_engine_chosen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")
    assert problem_of_connecting().kind in {"daemon-down", "wrong-host"}  # as an engine answers here, or none
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{tmp_path}/deaf.sock")
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/deaf.sock")
        assert problem_of_connecting().kind in {"daemon-down", "wrong-host"}


@pytest.mark.parametrize("way", ["variable", "current"])
def test_a_context_that_does_not_exist(way: str, no_engine_chosen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "variable":
        monkeypatch.setenv("DOCKER_CONTEXT", "nowhere")
    else:
        (no_engine_chosen / "config.json").write_text(json.dumps({"currentContext": "nowhere"}))
    problem = problem_of_connecting()
    assert (problem.kind, problem.fix) == ("no-such-context", "docker context ls")


def test_an_engine_that_hangs_is_not_waited_for(
    engine_standin: EngineStandin, no_engine_chosen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine_standin.address)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(no_engine_chosen))
    with engine_standin.hangs():
        assert problem_of_connecting(seconds=1).kind in {"timed-out", "wrong-host"}


def test_later_answers_may_take_longer_than_the_first(
    engine_standin: EngineStandin, no_engine_chosen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine_standin.address)
    client = connect()
    assert client.api.timeout == ANSWER_SECONDS
    assert client.info()["ServerVersion"]


def test_a_limit_of_time_is_a_problem_too() -> None:
    problem = gave_no_answer("gave no answer within 5 s")
    assert (problem.kind, problem.what) == ("timed-out", "the container engine gave no answer within 5 s")
