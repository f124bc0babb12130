"""Fixtures for tests against real parts; `docs/development.md` says how to get the parts.

A test says what it needs with a mark (docker, vllm, compose, podman) or by asking for a fixture; one brings the other.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings as hypothesis_settings
from support import testbed
from support.cli import Cli, isolated_environment
from support.parts import Parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from docker import DockerClient
    from support.gpu import GpuStandin
    from support.nvml import NvmlStandin

    from stepaudio_serve import Settings

DEPLOYMENT_LABEL = "io.stepaudio-serve.deployment"
NEEDS = {
    "docker": ("docker_engine", "rehearsal_image"),
    "vllm": ("docker_engine", "vllm_image", "checkpoints"),
    "compose": ("docker_engine", "compose_command"),
    "podman": ("podman_socket",),
}
MARKS = {
    "docker_engine": "docker",
    "vllm_image": "vllm",
    "compose_command": "compose",
    "podman_socket": "podman",
}
PARTS = pytest.StashKey[Parts]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[PARTS] = Parts()
    _hear_signals()
    hypothesis_settings.register_profile("untimed", deadline=None)
    hypothesis_settings.load_profile("untimed")


def _hear_signals() -> None:
    """As in a terminal: a shell's background job, and nohup, hand down that Ctrl-C and a hangup are ignored."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    fixtures: list[str] = getattr(item, "fixturenames", [])
    for mark, needed in NEEDS.items():
        if item.get_closest_marker(mark):
            fixtures += [fixture for fixture in needed if fixture not in fixtures]
    for fixture, mark in MARKS.items():
        if fixture in fixtures:
            item.add_marker(mark)


@pytest.fixture(scope="session")
def parts(pytestconfig: pytest.Config) -> Parts:
    return pytestconfig.stash[PARTS]


# ---- engines and images


@pytest.fixture(scope="session")
def docker_engine(parts: Parts) -> Iterator[DockerClient]:
    """A client of the Docker Engine that runs here."""
    import docker
    from docker.errors import DockerException

    reason = ""
    try:
        client = docker.from_env()
    except DockerException as error:
        reason = f"no Docker Engine answers ({error})"
    if reason:  # outside the handler: the skip or failure is the whole story
        parts.lack("docker", reason)
    parts.have("docker", f"Docker Engine {client.version()['Version']}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def rehearsal_image(docker_engine: DockerClient, parts: Parts) -> str:
    """The rehearsal engine's image, built from this working tree where the test bed's base image is at hand."""
    if _has_image(docker_engine, testbed.PYTHON_IMAGE):
        built = testbed.run_script("rehearsal-image.sh")
        if built.returncode:
            pytest.fail(f"the rehearsal image does not build:\n{built.stderr[-2000:]}", pytrace=False)
    elif not _has_image(docker_engine, testbed.REHEARSAL_IMAGE):
        parts.lack("docker", f"no image {testbed.REHEARSAL_IMAGE}: make rehearsal-image")
    return testbed.REHEARSAL_IMAGE


@pytest.fixture(scope="session")
def vllm_image(docker_engine: DockerClient, parts: Parts) -> str:
    """An image with a real vLLM that runs on a CPU."""
    if not _has_image(docker_engine, testbed.VLLM_IMAGE):
        parts.lack("vllm", f"no image {testbed.VLLM_IMAGE}: make testbed")
    parts.have("vllm", f"vLLM {testbed.VLLM_IMAGE.rpartition(':')[2]} on a CPU, in a container")
    return testbed.VLLM_IMAGE


@pytest.fixture(scope="session")
def vllm_python(parts: Parts) -> Path:
    """The interpreter of a virtual environment with the same vLLM, on this machine.

    STEPAUDIO_VLLM_PYTHON names another one, as tools/vllm_matrix.py does for other releases.
    """
    python = testbed.root() / os.environ.get("STEPAUDIO_VLLM_PYTHON", "venv/bin/python")
    if not python.exists():
        parts.lack("vllm", f"no {python}: make testbed")
    return python


@pytest.fixture(scope="session")
def checkpoints(parts: Parts) -> Path:
    """The folder of the tiny checkpoints: `tiny-listener` hears, `tiny-audio` talks garbage."""
    folder = testbed.root() / "ckpt"
    if not (folder / "tiny-listener").exists():
        parts.lack("vllm", f"no tiny-listener in {folder}: make testbed")
    return folder


@pytest.fixture(scope="session")
def compose_command(parts: Parts) -> tuple[str, ...]:
    """Docker's compose as it is called here."""
    spellings = (("docker", "compose"), ("docker-compose",))
    versions = {words: _output(*words, "version", "--short") for words in spellings if shutil.which(words[0])}
    command = next((words for words in versions if versions[words]), None)
    if command is None:
        parts.lack("compose", "neither `docker compose` nor `docker-compose` runs")
    parts.have("compose", f"{' '.join(command)} {versions[command]}")
    return command


@pytest.fixture(scope="session")
def podman_socket(request: pytest.FixtureRequest, parts: Parts) -> str:
    """DOCKER_HOST of a Podman service that has the rehearsal image."""
    if not shutil.which("podman"):
        parts.lack("podman", "not installed")
    image = request.getfixturevalue("rehearsal_image")
    for step in (("start",), ("load", image)):
        done = testbed.run_script("podman.sh", *step)
        if done.returncode:
            parts.lack("podman", done.stderr.strip().splitlines()[-1])
    parts.have("podman", _output("podman", "--version"))
    return f"unix://{testbed.root()}/podman/podman.sock"


@pytest.fixture(scope="session")
def gpu_standin(docker_engine: DockerClient, parts: Parts) -> GpuStandin:
    """Control of the GPU stand-in; not for tests that run beside others with GPU requests."""
    from support.gpu import find_standin

    if not _has_image(docker_engine, testbed.PYTHON_IMAGE):
        parts.lack("gpu-standin", f"no image {testbed.PYTHON_IMAGE}: make testbed")
    standin = find_standin(docker_engine, testbed.PYTHON_IMAGE)
    if not standin.hook:
        parts.lack("gpu-standin", "the Docker Engine has none: tests/testbed/docker.sh restart")
    parts.have("gpu-standin", "hook and CDI" if standin.cdi else "hook")
    return standin


@pytest.fixture(scope="session")
def nvml_library(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a stand-in for NVIDIA's management library."""
    from support.nvml import compile_standin

    if not shutil.which("cc"):
        parts.lack("nvml-standin", "no C compiler (cc)")
    folder = tmp_path_factory.mktemp("nvml")
    if complaint := compile_standin(folder):
        pytest.fail(f"the NVML stand-in does not compile:\n{complaint}", pytrace=False)
    parts.have("nvml-standin", "for the real pynvml")
    return folder


@pytest.fixture
def nvml_standin(nvml_library: Path, tmp_path_factory: pytest.TempPathFactory) -> NvmlStandin:
    """Environments of processes that see the GPUs of a machine; `support/nvml.py` says how."""
    from support.nvml import NvmlStandin

    return NvmlStandin(nvml_library, tmp_path_factory.mktemp("answers"))


@pytest.fixture
def registry(docker_engine: DockerClient, parts: Parts, tmp_path: Path) -> Iterator[str]:
    """`HOST:PORT` of an empty image registry of the test's own."""
    if not (testbed.root() / "registry/usr/bin/docker-registry").exists():
        parts.lack("registry", "not installed: tests/testbed/registry.sh install")
    port = _unused_port()
    with subprocess.Popen([testbed.SCRIPTS / "registry.sh", "serve", str(port), tmp_path / "registry"]) as server:
        while server.poll() is None and not _accepts(port):
            time.sleep(0.02)
        assert server.returncode is None, "the registry ended at once"
        parts.have("registry", "docker-registry")
        yield f"127.0.0.1:{port}"
        server.terminate()


# ---- the command line


@pytest.fixture
def state_home(tmp_path: Path) -> Path:
    """The folder with the command line's homes: home/, config/, cache/, state/."""
    home = tmp_path / "isolated"
    home.mkdir()
    return home


@pytest.fixture
def run_cli(state_home: Path, tmp_path: Path) -> Iterator[Cli]:
    """`run_cli("plan", "--json")` runs the command in an empty folder, away from the user's settings."""
    folder = tmp_path / "here"
    folder.mkdir()
    cli = Cli(folder, isolated_environment(state_home))
    yield cli
    cli.end()


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nobody holds."""
    return _unused_port()


@pytest.fixture
def rehearsal(tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Settings of a quick rehearsal, in homes of its own and without a container engine."""
    from stepaudio_serve import Settings

    for variable in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home with a space"))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")
    monkeypatch.setenv("STEPAUDIO_REHEARSAL_LOAD_SECONDS", "0.2")

    def configured(**changes: object) -> Settings:
        return Settings.model_validate({"engine": "rehearsal", "runtime": "process", "port": free_port, **changes})

    return configured


@pytest.fixture
def deployment_name(request: pytest.FixtureRequest, docker_engine: DockerClient) -> Iterator[str]:
    """A name of this test's own; containers that carry it (as deployment, name or compose project) are removed."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:30].strip("-")
    name = f"t-{words}-{uuid.uuid4().hex[:6]}"
    yield name
    marks = (
        ("label", f"{DEPLOYMENT_LABEL}={name}"),
        ("label", f"com.docker.compose.project={name}"),
        ("name", f"^/{name}"),
    )
    for kind, value in marks:
        for container in docker_engine.containers.list(all=True, filters={kind: value}, ignore_removed=True):
            container.remove(force=True, v=True)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _has_image(client: DockerClient, name: str) -> bool:
    from docker.errors import ImageNotFound

    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


def _unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# ---- what ran


def pytest_sessionfinish(session: pytest.Session) -> None:
    output: dict[str, object] | None = getattr(session.config, "workeroutput", None)  # of pytest-xdist
    if output is not None:
        parts = session.config.stash[PARTS]
        output["parts"] = (parts.found, parts.missing)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    found, missing = getattr(node, "workeroutput", {}).get("parts", ({}, {}))
    parts = node.config.stash[PARTS]
    parts.found.update(found)
    parts.missing.update(missing)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    ran = Counter(mark for report in reports if report.when == "call" for mark in NEEDS if mark in report.keywords)
    lines = config.stash[PARTS].lines(ran)
    if lines:
        terminalreporter.section("real parts")
        for line in lines:
            terminalreporter.line(line)
