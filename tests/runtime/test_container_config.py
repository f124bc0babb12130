"""Between a plan and Docker's words, without an engine: the create call's body, and a deployment read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from docker import APIClient
from support.facts import engine, facts

from stepaudio_serve.plan.build import make_plan
from stepaudio_serve.plan.plan import GpuRequest, Plan
from stepaudio_serve.runtime.container import container_config, deployment_of, device_requests, is_ours
from stepaudio_serve.settings.options import Settings

if TYPE_CHECKING:
    from stepaudio_serve.facts.gather import Facts

R1 = facts(31.36)


def plan(found: Facts = R1, **settings: Any) -> Plan:
    return make_plan(Settings(**settings), found)


def config(made: Plan) -> dict[str, Any]:
    return container_config(APIClient("unix:///nonexistent", version="1.45"), made)


# ---- plan to container


def test_the_body_is_the_plan() -> None:
    made = plan(api_key="k", gpus="0,1", port=8080)
    shape, check = made.container, made.container.health_check
    assert check is not None
    body = config(made)
    host = body["HostConfig"]
    assert (body["Image"], body["Entrypoint"], body["Cmd"]) == (made.image, ["vllm"], list(made.command))
    assert set(body["Env"]) == {f"{key}={value}" for key, value in made.environment.items()}
    assert body["Labels"] == dict(made.labels)
    assert body["ExposedPorts"] == {"9999/tcp": {}}
    assert host["PortBindings"] == {"9999/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}
    assert [(mount["Type"], mount["Source"], mount["Target"], mount["ReadOnly"]) for mount in host["Mounts"]] == [
        (mount.kind, mount.source, mount.target, mount.read_only) for mount in made.mounts
    ]
    assert (host["CapDrop"], host["CapAdd"]) == (list(shape.cap_drop), list(shape.cap_add))
    assert host["SecurityOpt"] == list(shape.security_opt)
    assert host["ShmSize"] == 8192 * 2**20
    assert host["LogConfig"] == {"Type": "json-file", "Config": dict(shape.log_options)}
    assert body["Healthcheck"] == {
        "Test": list(check.test),
        "Interval": 10_000_000_000,
        "Timeout": 5_000_000_000,
        "Retries": 3,
        "StartPeriod": 1_800_000_000_000,
    }


def test_until_the_hand_over_nothing_is_restarted_and_nothing_is_thrown_away() -> None:
    host = config(plan(restart="always"))["HostConfig"]
    assert host["RestartPolicy"]["Name"] == "no"
    assert not host.get("AutoRemove")


def test_podman_keeps_its_log_driver() -> None:
    assert "LogConfig" not in config(plan(facts(engine=engine(is_podman=True))))["HostConfig"]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (GpuRequest("none"), None),
        (GpuRequest("nvidia"), {"Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Driver": ""}),
        (GpuRequest("nvidia", ("1",)), {"Count": 0, "DeviceIDs": ["1"], "Capabilities": [["gpu"]], "Driver": ""}),
        (
            GpuRequest("cdi", ("0", "1")),
            {"Count": 0, "DeviceIDs": ["nvidia.com/gpu=0", "nvidia.com/gpu=1"], "Capabilities": [], "Driver": "cdi"},
        ),
    ],
)
def test_the_gpu_request(request_: GpuRequest, expected: dict[str, object] | None) -> None:
    requests = device_requests(request_)
    if expected is None:
        assert requests is None
    else:
        assert requests is not None
        (one,) = requests
        assert {key: one[key] for key in expected} == expected


# ---- container to deployment


def inspected(made: Plan, **state: Any) -> dict[str, Any]:
    """What `inspect` says of a container made from a plan."""
    return {
        "Id": "abc",
        "Name": f"/{made.name}",
        "Config": {"Labels": {**made.labels, "maintainer": "someone"}},
        "HostConfig": {"RestartPolicy": {"Name": state.pop("policy", "no")}},
        "State": {"Status": "running", "ExitCode": 0, "StartedAt": "2026-01-02T03:04:05.678901234Z", **state},
    }


def test_a_deployment_is_read_back_from_its_labels() -> None:
    made = plan(port=8080, name="mine", gpus="0,1")
    found = deployment_of(inspected(made, Health={"Status": "healthy"}))
    assert (found.name, found.endpoint, found.plan_hash) == ("mine", "http://127.0.0.1:8080", made.hash)
    assert (found.state, found.health, found.id, found.exit_code) == ("running", "healthy", "abc", None)
    assert Settings.model_validate(dict(found.settings)) == Settings(port=8080, name="mine", gpus="0,1")
    assert found.plan["command"] == list(made.command)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("created", "created"),
        ("running", "running"),
        ("restarting", "running"),
        ("paused", "running"),
        ("exited", "exited"),
        ("dead", "exited"),
    ],
)
def test_the_states(status: str, state: str) -> None:
    assert deployment_of(inspected(plan(), Status=status)).state == state


def test_how_it_ended_is_known() -> None:
    found = deployment_of(inspected(plan(), Status="exited", ExitCode=137, OOMKilled=True))
    assert (found.exit_code, found.oom_killed) == (137, True)


@pytest.mark.parametrize(("policy", "handed_over"), [("no", False), ("", False), ("unless-stopped", True)])
def test_a_restart_policy_says_that_it_was_handed_over(policy: str, handed_over: bool) -> None:
    assert deployment_of(inspected(plan(), policy=policy)).handed_over is handed_over


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        ("2026-01-02T03:04:05.678901234Z", 1767323045.0),
        ("2026-01-02T03:04:05Z", 1767323045.0),
        ("2026-01-02T04:04:05.678901234+01:00", 1767323045.0),
        ("0001-01-01T00:00:00Z", None),
    ],
)
def test_docker_and_podman_stamps_are_read(stamp: str, seconds: float | None) -> None:
    assert deployment_of(inspected(plan(), StartedAt=stamp)).started_at == seconds


def test_a_container_without_our_label_is_not_ours() -> None:
    foreign = inspected(plan())
    foreign["Config"]["Labels"] = None
    assert is_ours(inspected(plan()))
    assert not is_ours(foreign)
