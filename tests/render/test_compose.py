"""The plan as a compose project says the same as the plan, field by field."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.facts import engine, facts

from stepaudio_serve.plan.build import make_plan
from stepaudio_serve.render.compose import compose_document, compose_files
from stepaudio_serve.settings.options import Settings

if TYPE_CHECKING:
    from stepaudio_serve.facts.gather import Facts
    from stepaudio_serve.plan.plan import Plan

R1 = facts(31.36)


def plan(found: Facts = R1, **settings: Any) -> Plan:
    return make_plan(Settings(**settings), found)


def service(made: Plan) -> dict[str, Any]:
    found: dict[str, Any] = compose_document(made)["services"]["engine"]
    return found


def test_the_service_is_the_plan() -> None:
    made = plan(gpus="0,1", stop_grace=30)
    shape, check, it = made.container, made.container.health_check, service(made)
    assert check is not None
    assert it["image"] == f"${{STEPAUDIO_IMAGE:-{made.image}}}"
    assert it["container_name"] == f"${{STEPAUDIO_NAME:-{made.name}}}"
    assert it["entrypoint"] == list(made.entrypoint)
    assert it["command"] == list(made.command)
    assert it["environment"] == dict(made.environment)
    assert it["ports"] == ["${STEPAUDIO_HOST:-127.0.0.1}:${STEPAUDIO_PORT:-9999}:9999"]
    assert it["shm_size"] == f"{shape.shm_size_mib}m"
    assert (it["cap_drop"], it["cap_add"]) == (list(shape.cap_drop), list(shape.cap_add))
    assert it["security_opt"] == list(shape.security_opt)
    assert it["restart"] == "unless-stopped"
    assert it["stop_grace_period"] == "30s"
    assert it["logging"] == {"driver": "json-file", "options": dict(shape.log_options)}
    assert it["healthcheck"] == {
        "test": list(check.test),
        "interval": "10s",
        "timeout": "5s",
        "retries": 3,
        "start_period": "1800s",
    }


def test_mounts_appear_where_the_plan_has_them_with_sources_that_travel() -> None:
    made = plan(api_key="k")
    volumes = {volume["target"]: volume for volume in service(made)["volumes"]}
    assert volumes.keys() == {mount.target for mount in made.mounts}
    for mount in made.mounts:
        if mount.kind == "bind":
            assert volumes[mount.target]["read_only"] is mount.read_only
            assert volumes[mount.target]["bind"] == {"create_host_path": False}
    assert volumes["/opt/stepaudio"]["source"] == "./engine"
    assert volumes["/run/stepaudio/api_key"]["source"] == "${STEPAUDIO_API_KEY_FILE:-./api_key}"
    assert volumes["/Step-Audio-R1"]["source"].startswith("${STEPAUDIO_MODEL_DIR:?")
    assert volumes["/root/.cache"] == {"type": "volume", "source": "stepaudio-serve-cache", "target": "/root/.cache"}
    assert compose_document(made)["volumes"] == {"stepaudio-serve-cache": {"name": "stepaudio-serve-cache"}}


@pytest.mark.parametrize(
    ("found", "gpus", "device"),
    [
        (R1, "all", {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}),
        (R1, "0,1", {"driver": "nvidia", "device_ids": ["0", "1"], "capabilities": ["gpu"]}),
        (
            facts(engine=engine(runtimes=("runc",), cdi_nvidia=True)),
            "1",
            {"driver": "cdi", "device_ids": ["nvidia.com/gpu=1"], "capabilities": ["gpu"]},
        ),
    ],
)
def test_the_gpu_reservation(found: Facts, gpus: str, device: dict[str, Any]) -> None:
    assert service(plan(found, gpus=gpus))["deploy"] == {"resources": {"reservations": {"devices": [device]}}}


def test_no_gpu_is_reserved_where_none_is_wanted() -> None:
    assert "deploy" not in service(plan(gpus="none"))


def test_an_ipv6_address_is_bracketed() -> None:
    assert service(plan(host="::1"))["ports"][0].startswith("${STEPAUDIO_HOST:-[::1]}:")


def test_dollars_are_not_read_as_variables() -> None:
    assert "$$HOME" in service(plan(engine_args=("--x", "$HOME")))["command"]


def test_files_are_written_beside_it() -> None:
    made = plan()
    files = compose_files(made)
    assert next(iter(files)) == "compose.yaml"
    assert yaml.safe_load(files["compose.yaml"]) == compose_document(made)
    assert {path.removeprefix("engine/") for path in files if path.startswith("engine/")} == made.files.keys()


def test_every_variable_is_in_the_example_environment() -> None:
    files = compose_files(plan(api_key="k"))
    used = set(re.findall(r"\$\{(STEPAUDIO_\w+)", files["compose.yaml"]))
    named = set(re.findall(r"^#?(STEPAUDIO_\w+)=", files[".env.example"], re.MULTILINE))
    assert used == named


def test_a_key_is_not_written_into_it() -> None:
    assert not any("k-very-secret" in text for text in compose_files(plan(api_key="k-very-secret")).values())
