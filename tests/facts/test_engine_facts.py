"""What is asked of a container engine, and what of this host where the engine runs on it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from stepaudio_serve.facts.engine import connect, look_at_engine, look_at_image
from stepaudio_serve.facts.engine_host import bytes_free, has_cdi, has_program, image_folder

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import EngineStandin
    from docker import DockerClient

    from stepaudio_serve.facts.engine import EngineFacts

SNAPSHOTTER = {"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}
IMAGE = {
    "Id": "sha256:" + "a" * 64,
    "RepoDigests": ["stepfun2025/vllm@sha256:" + "b" * 64],
    "RepoTags": ["stepfun2025/vllm:step"],
    "Architecture": "amd64",
    "Size": 22_000_000_000,
    "Config": {"Entrypoint": ["/entry.sh"], "Env": ["NVIDIA_REQUIRE_CUDA=cuda>=12.8", "EMPTY="]},
}


@pytest.fixture
def client(engine_standin: EngineStandin, no_engine_chosen: Path, monkeypatch: pytest.MonkeyPatch) -> DockerClient:
    monkeypatch.setenv("DOCKER_HOST", engine_standin.address)
    return connect()


def test_what_an_engine_says_of_itself(client: DockerClient, engine_standin: EngineStandin, tmp_path: Path) -> None:
    engine_standin.says(DockerRootDir=str(tmp_path))
    engine = look_at_engine(client)
    assert (engine.version, engine.architecture, engine.api_version) == ("28.3.0", "amd64", client.api.api_version)
    assert (engine.url, engine.context, engine.is_remote) == (engine_standin.address, "", False)
    assert (engine.memory_total, engine.cgroup_version) == (64 * 2**30, "2")
    assert engine.runtimes == ("nvidia", "runc")
    assert (engine.rootless, engine.is_podman, engine.cdi_nvidia) == (False, False, False)
    assert engine.storage == str(tmp_path)
    assert engine.storage_free is not None


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"]}, {"rootless": True}),
        ({"Architecture": "aarch64"}, {"architecture": "arm64"}),
        ({"BuildahVersion": "1.28.2"}, {"is_podman": True}),
        ({"DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}]}, {"cdi_nvidia": True}),
        ({"DockerRootDir": "/not/visible/from/here"}, {"storage_free": None, "storage": "/not/visible/from/here"}),
        ({"MemTotal": 0, "SecurityOptions": None, "Runtimes": None}, {"memory_total": None, "runtimes": ()}),
        (
            {"OperatingSystem": "Docker Desktop", "DockerRootDir": "/"},
            {"storage_free": None, "gpu_hook": None, "toolkit": None},
        ),
    ],
)
def test_kinds_of_engines(
    info: dict[str, object], expected: dict[str, object], client: DockerClient, engine_standin: EngineStandin
) -> None:
    engine_standin.says(**info)
    engine: EngineFacts = look_at_engine(client)
    assert {name: getattr(engine, name) for name in expected} == expected


def test_of_an_engine_on_another_machine_nothing_is_looked_for_here(
    client: DockerClient, engine_standin: EngineStandin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://me@box")
    engine_standin.says(DockerRootDir="/")
    engine = look_at_engine(client)
    assert engine.is_remote
    assert (engine.storage_free, engine.gpu_hook, engine.toolkit) == (None, None, None)


def test_the_context_in_use_is_named(
    client: DockerClient, no_engine_chosen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    assert look_at_engine(client).context == "default"


def test_an_image_that_is_present(client: DockerClient, engine_standin: EngineStandin) -> None:
    engine_standin.answers["/images/stepfun2025/vllm:step/json"] = IMAGE
    image = look_at_image(client, "stepfun2025/vllm:step")
    assert image is not None
    assert (image.id, image.digest, image.size) == (IMAGE["Id"], "sha256:" + "b" * 64, 22_000_000_000)
    assert (image.architecture, image.entrypoint) == ("amd64", ("/entry.sh",))
    assert image.environment == {"NVIDIA_REQUIRE_CUDA": "cuda>=12.8", "EMPTY": ""}


def test_an_image_built_here_has_no_digest(client: DockerClient, engine_standin: EngineStandin) -> None:
    engine_standin.answers["/images/mine/json"] = {**IMAGE, "RepoDigests": []}
    image = look_at_image(client, "mine")
    assert image is not None
    assert image.digest == ""


def test_an_image_that_is_absent(client: DockerClient) -> None:
    assert look_at_image(client, "nowhere") is None


def test_where_images_go(tmp_path: Path) -> None:
    root = {"DockerRootDir": str(tmp_path)}
    assert image_folder(root) == str(tmp_path)
    assert image_folder({**root, **SNAPSHOTTER}) == "/var/lib/containerd"
    (tmp_path / "containerd" / "daemon").mkdir(parents=True)
    assert image_folder({**root, **SNAPSHOTTER}) == str(tmp_path / "containerd" / "daemon")
    assert image_folder({}) == ""


def test_free_bytes_of_a_folder_that_cannot_be_seen_are_not_known(tmp_path: Path) -> None:
    assert bytes_free(str(tmp_path))
    assert bytes_free(str(tmp_path / "absent")) is None
    assert bytes_free("") is None


def test_a_program_is_found_where_the_user_or_a_daemon_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "some-container-hook"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert not has_program(["some-container-hook"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert has_program(["absent", "some-container-hook"])
    assert has_program(["sh"])  # not in this user's PATH


@pytest.mark.parametrize(
    ("content", "elsewhere", "expected"),
    [
        ("kind: nvidia.com/gpu", False, True),
        ("kind: vendor.com/nic", False, False),
        ("kind: nvidia.com/gpu", True, None),
    ],
)
def test_cdi_specifications_in_an_engines_folders(
    content: str, elsewhere: bool, expected: bool | None, tmp_path: Path
) -> None:
    (tmp_path / "spec.yaml").write_text(content)
    assert has_cdi({"CDISpecDirs": [str(tmp_path)]}, elsewhere=elsewhere) is expected


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_specification_that_may_not_be_read_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "spec.json").touch(0o000)
    assert has_cdi({"CDISpecDirs": [str(tmp_path)]}, elsewhere=False) is None


def test_an_engine_without_cdi_has_none(tmp_path: Path) -> None:
    assert has_cdi({}, elsewhere=True) is False
    assert has_cdi({"CDISpecDirs": [str(tmp_path)]}, elsewhere=False) is False


@pytest.mark.docker
def test_the_engine_that_runs_here(docker_engine: DockerClient, rehearsal_image: str) -> None:
    engine = look_at_engine(docker_engine)
    assert engine.version == docker_engine.version()["Version"]
    assert engine.memory_total
    assert engine.storage
    image = look_at_image(docker_engine, rehearsal_image)
    assert image is not None
    assert image.size
    assert image.environment["PATH"]
