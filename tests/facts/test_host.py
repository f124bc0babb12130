"""Who holds a port; where the folders are; whether an engine is on another machine."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from pathlib import Path

import psutil
import pytest

from stepaudio_serve.facts.engine import engine_address, is_remote, unavailable
from stepaudio_serve.facts.gather import key_file_problem
from stepaudio_serve.facts.host import folders, look_at_host, port_holder


def test_a_free_port_has_no_holder(free_port: int) -> None:
    assert port_holder("127.0.0.1", free_port) is None


def test_the_holder_of_a_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for host in ("127.0.0.1", "0.0.0.0"):
            holder = port_holder(host, port)
            assert holder is not None
            assert (holder.port, holder.pid) == (port, os.getpid())
            assert holder.process


def test_an_address_that_is_not_this_machines_is_not_a_held_port() -> None:
    with pytest.raises(OSError, match="assign"):
        port_holder("192.0.2.1", 9999)


def test_the_hubs_own_variables_move_its_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.delenv("HF_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert folders().hub_cache == Path("/caches/huggingface/hub")
    monkeypatch.setenv("HF_HOME", "/hf")
    assert folders().hub_cache == Path("/hf/hub")
    monkeypatch.setenv("HF_HUB_CACHE", "/cache")
    assert folders().hub_cache == Path("/cache")


@pytest.mark.parametrize("url", ["ssh://me@box", "tcp://10.0.0.2:2376", "https://box:2376"])
def test_an_engine_on_another_machine_is_remote(url: str) -> None:
    assert is_remote(url)


@pytest.mark.parametrize(
    "url", ["unix:///var/run/docker.sock", "http+docker://localhost", "tcp://127.0.0.1:2375", "tcp://localhost:2375"]
)
def test_an_engine_on_this_machine_is_not_remote(url: str) -> None:
    assert not is_remote(url)


def test_a_docker_context_tells_where_its_engine_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "contexts" / "meta" / hashlib.sha256(b"box").hexdigest()
    folder.mkdir(parents=True)
    (tmp_path / "config.json").write_text('{"currentContext": "box"}')
    endpoints = {"docker": {"Host": "ssh://me@box", "SkipTLSVerify": False}}
    (folder / "meta.json").write_text(json.dumps({"Name": "box", "Metadata": {}, "Endpoints": endpoints}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    assert is_remote(engine_address())
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/mine.sock")
    assert engine_address() == "unix:///run/mine.sock"


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("Error while fetching server API version: ('Connection aborted.', PermissionError(13", "group docker"),
        ("Error while fetching server API version: ('Connection aborted.', FileNotFoundError(2", "does not exist"),
        ("Error while fetching server API version: ... Connection refused", "the daemon is down"),
    ],
)
def test_the_reasons_why_no_engine_answers_are_told_apart(
    message: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    error = unavailable(message)
    assert why in error.why
    assert error.fix


def test_an_unreachable_docker_host_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.2:2375")
    assert "DOCKER_HOST=tcp://10.0.0.2:2375" in unavailable("timed out").what


@pytest.mark.parametrize(
    ("content", "said"), [(b"key\n", ""), (b" \n", "no key"), (b"two words\n", "line 1 is not a key")]
)
def test_a_key_file_is_looked_into(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    assert (said in key_file_problem(path)) if said else key_file_problem(path) == ""


def test_a_key_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "No such file" in key_file_problem(tmp_path / "absent")


def test_room_is_looked_for_in_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    host = look_at_host({"models": tmp_path / "a" / "b" / "c", "state": tmp_path})
    models, state = host.disks
    assert (models.purpose, models.path, state.path) == ("models", tmp_path / "a", tmp_path)
    assert 0 <= models.free <= models.total
    assert models.total == state.total


def test_a_file_where_a_folder_should_be_has_no_room(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert look_at_host({"models": tmp_path / "file" / "models"}).disks == ()


def test_memory_is_told_in_mebibytes() -> None:
    host = look_at_host({})
    assert host.memory_total_mib == psutil.virtual_memory().total // 2**20
    assert host.memory_available_mib is not None
    assert 64 < host.memory_available_mib <= host.memory_total_mib
