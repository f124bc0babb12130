"""A Docker Engine of the tests' own, beside the machine's: it can be restarted, and run without any GPU support."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import docker
from docker.errors import DockerException, ImageNotFound
from support import testbed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

BRIDGE = "stepaudio-tests"
BRIDGE_ADDRESS = "10.213.86.1/24"


@dataclass(frozen=True, slots=True)
class OwnEngine:
    """Its data stays in `folder` between runs: the image is copied only when it changed.

    Published ports come from Docker's own proxy, so that the machine's firewall is left alone.
    """

    folder: Path

    @property
    def host(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    @property
    def gpu_calls(self) -> Path:
        """The folder in which the GPU stand-in notes what it was asked for, and looks whether to fail."""
        return self.folder / "gpu"

    @contextmanager
    def running(self, *, gpu_hook: bool = False) -> Iterator[DockerClient]:
        """Run the daemon for the length of a block, with or without NVIDIA's hook (a stand-in)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.gpu_calls.mkdir(exist_ok=True)
        (self.folder / "daemon.json").write_text("{}")
        path = f"{testbed.SCRIPTS / 'gpu-standin'}:{os.environ['PATH']}" if gpu_hook else _without_hook()
        with (self.folder / "log").open("ab") as log:
            daemon = subprocess.Popen(
                self._command(),
                env={**os.environ, "PATH": path, "GPU_STANDIN_STATE": str(self.gpu_calls)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield self._connect(daemon)
        finally:
            daemon.terminate()
            daemon.wait(60)

    def give_image(self, client: DockerClient, source: DockerClient, image: str) -> None:
        """Copy an image from another engine, if it is not there yet."""
        wanted = source.images.get(image)
        try:
            if client.images.get(image).id == wanted.id:
                return
        except ImageNotFound:
            pass
        client.images.load(wanted.save(named=image))

    def _command(self) -> list[str]:
        return [
            "dockerd",
            f"--config-file={self.folder}/daemon.json",
            f"--data-root={self.folder}/data",
            f"--exec-root={self.folder}/exec",
            f"--pidfile={self.folder}/pid",
            f"--host={self.host}",
            f"--bridge={BRIDGE}",
            *("--iptables=false", "--ip6tables=false", "--ip-forward=false"),
        ]

    def _connect(self, daemon: subprocess.Popen[bytes]) -> DockerClient:
        problem: Exception | None = None
        for _ in range(300):
            if daemon.poll() is not None:
                break
            try:
                client = docker.DockerClient(self.host, timeout=120)
                client.ping()
            except DockerException as error:
                problem = error
                time.sleep(0.1)
            else:
                return client
        raise RuntimeError(f"the tests' own dockerd did not come up, see {self.folder}/log") from problem


@contextmanager
def bridge() -> Iterator[None]:
    """The network of the own engine's containers, for the length of a block."""
    _ip("link", "add", "name", BRIDGE, "type", "bridge")
    try:
        _ip("addr", "add", BRIDGE_ADDRESS, "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        yield
    finally:
        _ip("link", "delete", BRIDGE)


def absence() -> str:
    """Why no engine of our own can run here, or an empty string."""
    if os.geteuid() != 0:
        return "only root can run a second dockerd"
    missing = [program for program in ("dockerd", "containerd", "ip") if not shutil.which(program)]
    return f"not installed: {', '.join(missing)}" if missing else ""


def clear(client: DockerClient) -> None:
    """Remove every container: in an engine of our own all of them are the tests'."""
    for container in client.containers.list(all=True):
        container.remove(force=True, v=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _without_hook() -> str:
    hook = "nvidia-container-runtime-hook"
    folders = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if not shutil.which(hook, path=folder))
