"""How GPUs are asked for, and what is said where the engine cannot hand them out."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from own_engine import clear
from support import testbed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from own_engine import OwnEngine
    from rehearsed import Rehearsed
    from support.gpu import GpuStandin

NO_DRIVER = "nvidia-container-cli: initialization error: nvml error: driver not loaded"


def _asked(rehearsed: Rehearsed) -> Any:
    requests = rehearsed.container["HostConfig"]["DeviceRequests"]
    return requests and [(one["Driver"], one["Count"], one["DeviceIDs"], one["Capabilities"]) for one in requests]


def _environment_inside(rehearsed: Rehearsed) -> list[str]:
    """What the engine's process was given, by whomever."""
    _, output = rehearsed.docker.containers.get(rehearsed.name).exec_run(["cat", "/proc/1/environ"])
    return output.decode().split("\0")


# ---- an engine with CDI and without NVIDIA's runtime


@pytest.mark.parametrize(("gpus", "device"), [("all", "all"), ("0", "0")])
def test_cdi(rehearsed: Rehearsed, as_vllm: tuple[str, ...], gpu_standin: GpuStandin, gpus: str, device: str) -> None:
    if not gpu_standin.cdi:
        pytest.skip("this engine has no CDI")
    up = rehearsed.up(*as_vllm, "--gpus", gpus)

    assert up.code == 0, up.stderr
    assert _asked(rehearsed) == [("cdi", 0, [f"nvidia.com/gpu={device}"], [])]
    assert f"CDI_STANDIN_DEVICE={device}" in _environment_inside(rehearsed)


def test_a_gpu_that_cdi_does_not_know(rehearsed: Rehearsed, as_vllm: tuple[str, ...], gpu_standin: GpuStandin) -> None:
    if not gpu_standin.cdi:
        pytest.skip("this engine has no CDI")
    up = rehearsed.up(*as_vllm, "--gpus", "7", "--json")

    assert up.code == 3
    assert "unresolvable CDI devices nvidia.com/gpu=7" in up.json["error"]["why"]
    assert "nvidia-ctk cdi generate" in up.json["error"]["fix"]
    assert rehearsed.leaves_nothing()


def test_no_gpu(rehearsed: Rehearsed, as_vllm: tuple[str, ...]) -> None:
    up = rehearsed.up(*as_vllm, "--gpus", "none")

    assert up.code == 0, up.stderr
    assert _asked(rehearsed) is None


# ---- an engine with NVIDIA's hook


@pytest.fixture
def hooked(rehearsed: Rehearsed, second_engine: OwnEngine) -> Iterator[Rehearsed]:
    with second_engine.running(gpu_hook=True) as client:
        here = rehearsed.on(client, second_engine.host)
        path = f"{testbed.SCRIPTS / 'gpu-standin'}:{os.environ['PATH']}"  # the hook is where the engine has it
        yield replace(here, cli=replace(here.cli, environment={**here.cli.environment, "PATH": path}))
        clear(client)


@pytest.mark.parametrize(
    ("gpus", "request_", "visible"),
    [("all", ("", -1, [], [["gpu"]]), "all"), ("0,2", ("", 0, ["0", "2"], [["gpu"]]), "0,2")],
)
def test_device_requests(
    hooked: Rehearsed, as_vllm: tuple[str, ...], second_engine: OwnEngine, gpus: str, request_: Any, visible: str
) -> None:
    up = hooked.up(*as_vllm, "--gpus", gpus)

    assert up.code == 0, up.stderr
    assert _asked(hooked) == [request_]
    calls = [json.loads(line) for line in (second_engine.gpu_calls / "hook.log").read_text().splitlines()]
    assert [call["NVIDIA_VISIBLE_DEVICES"] for call in calls if call["id"] == hooked.container["Id"]] == [visible]


def test_a_hook_without_a_driver(hooked: Rehearsed, as_vllm: tuple[str, ...], second_engine: OwnEngine) -> None:
    fail = second_engine.gpu_calls / "fail"
    fail.write_text(NO_DRIVER)
    try:
        up = hooked.up(*as_vllm, "--json")
    finally:
        fail.unlink()

    assert up.code == 3
    assert NO_DRIVER in up.json["error"]["why"]
    assert up.json["error"]["fix"]
    assert hooked.leaves_nothing()


# ---- an engine without any of them


def test_no_gpu_support(rehearsed: Rehearsed, as_vllm: tuple[str, ...], second_engine: OwnEngine) -> None:
    with second_engine.running() as client:
        here = rehearsed.on(client, second_engine.host)
        up = here.up(*as_vllm, "--json")

        assert up.code == 3
        refused = [finding for finding in up.json["findings"] if finding["level"] == "blocker"]
        assert {finding["group"] for finding in refused} == {"gpu"}
        assert all(finding["fix"] for finding in refused)
        assert here.leaves_nothing()
