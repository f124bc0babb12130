"""The GPU stand-in of the test bed's Docker Engine: its hook can be told to fail, and tells what was asked."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker.errors import APIError
from docker.types import DeviceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

STATE = Path(os.environ.get("GPU_STANDIN_STATE", "/run/gpu-standin"))
BY_HOOK = DeviceRequest(count=-1, capabilities=[["gpu"]])
BY_CDI = DeviceRequest(driver="cdi", device_ids=["nvidia.com/gpu=all"])


@dataclass(frozen=True, slots=True)
class GpuStandin:
    """`hook` and `cdi` say which ways of asking for a GPU the engine accepts."""

    hook: bool
    cdi: bool

    def calls(self, container_id: str) -> list[dict[str, Any]]:
        """What the hook was asked for this container: `NVIDIA_*` variables."""
        lines = (STATE / "hook.log").read_text().splitlines()
        return [call for call in map(json.loads, lines) if call["id"] == container_id]

    @contextmanager
    def failing(self, message: str) -> Iterator[None]:
        """The hook refuses every GPU request with `message`, as NVIDIA's does without a driver."""
        STATE.mkdir(parents=True, exist_ok=True)
        fail = STATE / "fail"
        fail.write_text(message)
        try:
            yield
        finally:
            fail.unlink()


def find_standin(client: DockerClient, image: str) -> GpuStandin:
    """Ask for a GPU both ways and see whether the stand-in nvidia-smi comes."""
    return GpuStandin(hook=_answers(client, image, BY_HOOK), cdi=_answers(client, image, BY_CDI))


def _answers(client: DockerClient, image: str, request: DeviceRequest) -> bool:
    try:
        output = client.containers.run(image, ["nvidia-smi", "--help"], remove=True, device_requests=[request])
    except APIError:
        return False
    return b"stand-in" in output
