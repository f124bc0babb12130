"""What Docker says of the container is what the plan said before, field by field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rehearsed import Rehearsed
    from support.cli import Cli

SECOND = 1_000_000_000


@pytest.fixture(params=["rehearsal", "vllm"])
def flags(request: pytest.FixtureRequest, rehearsed: Rehearsed, rehearsal_image: str) -> tuple[str, ...]:
    """Settings that leave few defaults alone; vLLM's plan has the checkpoint, the cache volume and the GPUs."""
    shared = ("--name", rehearsed.name, "--port", str(rehearsed.port), "--stop-grace", "7", "--api-key", "a-secret")
    if request.param == "rehearsal":
        return (*shared, "--engine", "rehearsal", "--restart", "always")
    as_vllm: tuple[str, ...] = request.getfixturevalue("as_vllm")
    request.getfixturevalue("gpu_standin")
    return (*shared, *as_vllm, "--gpus", "0", "--cache", f"{rehearsed.name}-cache")


@pytest.fixture
def plan(run_cli: Cli, flags: tuple[str, ...]) -> dict[str, Any]:
    return dict(run_cli("plan", "--json", *flags).json)


@pytest.fixture
def container(run_cli: Cli, flags: tuple[str, ...], plan: dict[str, Any], rehearsed: Rehearsed) -> dict[str, Any]:
    up = run_cli("up", *flags)
    assert up.code == 0, up.stderr
    return rehearsed.container


def test_the_container_is_the_plan(
    plan: dict[str, Any], container: dict[str, Any], rehearsed: Rehearsed, run_cli: Cli
) -> None:
    config, host = container["Config"], container["HostConfig"]
    shape = plan["container"]

    assert config["Image"] == plan["image"]
    assert config["Entrypoint"] == plan["entrypoint"]
    assert config["Cmd"] == plan["command"]
    assert _mounts(container) == sorted(
        (mount["kind"], mount["source"], mount["target"], mount["read_only"]) for mount in plan["mounts"]
    )
    assert _own(config["Env"], rehearsed, plan["image"]) == plan["environment"]
    assert _published(host["PortBindings"]) == plan["ports"]
    assert _published(container["NetworkSettings"]["Ports"]) == plan["ports"]
    assert host["PublishAllPorts"] is False
    assert _gpus(host["DeviceRequests"]) == plan["gpus"]
    assert host["CapDrop"] == shape["cap_drop"]
    assert host["CapAdd"] == shape["cap_add"]
    assert host["SecurityOpt"] == shape["security_opt"]
    assert host["Privileged"] is False
    assert host["ShmSize"] == shape["shm_size_mib"] * 2**20
    assert host["LogConfig"] == {"Type": shape["log_driver"], "Config": shape["log_options"]}
    assert host["RestartPolicy"]["Name"] == shape["restart"]
    assert host["AutoRemove"] is shape["auto_remove"] is False
    assert plan["labels"].items() <= config["Labels"].items()
    assert config["StopTimeout"] == plan["stop_grace"]
    assert _health_check(config["Healthcheck"]) == shape["health_check"]
    assert rehearsed.status()["plan_hash"] == plan["plan_hash"]
    assert rehearsed.status()["endpoint"] == plan["endpoint"]
    for volume in (mount["source"] for mount in plan["mounts"] if mount["kind"] == "volume"):
        run_cli("down", rehearsed.name)
        rehearsed.docker.volumes.get(volume).remove()


def test_a_dry_run_shows_the_plan_and_creates_nothing(
    plan: dict[str, Any], flags: tuple[str, ...], run_cli: Cli, rehearsed: Rehearsed
) -> None:
    dry = run_cli("up", "--dry-run", "--json", *flags)

    assert dry.code == 0, dry.stderr
    shared = dry.json.keys() & plan.keys() - {"findings"}  # those of a start know more: the port, the name
    assert {key: dry.json[key] for key in shared} == {key: plan[key] for key in shared}
    assert shared >= {"image", "command", "mounts", "labels", "plan_hash"}
    assert rehearsed.leaves_nothing()


def test_the_restart_policy_waits_for_the_hand_off(rehearsed: Rehearsed) -> None:
    assert rehearsed.up("--no-wait", "--restart", "always", env={"STEPAUDIO_REHEARSAL_LOAD_SECONDS": "60"}).code == 0
    assert rehearsed.container["HostConfig"]["RestartPolicy"]["Name"] == "no"


def _mounts(container: Mapping[str, Any]) -> list[tuple[str, str, str, bool]]:
    return sorted(
        (
            item["Type"],
            item["Name"] if item["Type"] == "volume" else item["Source"],
            item["Destination"],
            not item["RW"],
        )
        for item in container["Mounts"]
    )


def _own(pairs: list[str], rehearsed: Rehearsed, image: str) -> dict[str, str]:
    """The variables that the image does not bring itself."""
    brought = rehearsed.docker.images.get(image).attrs["Config"]["Env"]
    return dict(pair.split("=", 1) for pair in pairs if pair not in brought)


def _published(bindings: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"host_ip": item["HostIp"], "host_port": int(item["HostPort"]), "container_port": int(port.split("/")[0])}
        for port, items in bindings.items()
        for item in items or ()
    ]


def _gpus(requests: list[Mapping[str, Any]] | None) -> dict[str, Any]:
    if not requests:
        return {"driver": "none", "ids": []}
    (request,) = requests
    names = [name.removeprefix("nvidia.com/gpu=") for name in request["DeviceIDs"] or ()]
    return {"driver": request["Driver"] or "nvidia", "ids": [name for name in names if name != "all"]}


def _health_check(check: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "test": check["Test"],
        "interval": check["Interval"] // SECOND,
        "timeout": check["Timeout"] // SECOND,
        "retries": check["Retries"],
        "start_period": check["StartPeriod"] // SECOND,
    }
