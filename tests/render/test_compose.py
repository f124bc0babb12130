"""The plan as a compose project says the same as the plan, field by field."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.facts import checkpoint, engine, facts

from stepaudio_serve.plan.build import make_plan
from stepaudio_serve.plan.labels import LABEL_PREFIX
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
    made = plan(api_key_file="/keys/r1$")
    volumes = {volume["target"]: volume for volume in service(made)["volumes"]}
    assert volumes.keys() == {mount.target for mount in made.mounts}
    for mount in made.mounts:
        if mount.kind == "bind":
            assert volumes[mount.target]["read_only"] is mount.read_only
            assert volumes[mount.target]["bind"] == {"create_host_path": False}
    assert volumes["/opt/stepaudio"]["source"] == "./engine"
    assert volumes["/run/stepaudio/api_key"]["source"] == "${STEPAUDIO_API_KEY_FILE:-/keys/r1$$}"
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


@pytest.mark.parametrize("model_dir", [None, "/models/r1"])
@pytest.mark.parametrize("settings", [{"api_key_file": "/keys/r1"}, {"engine": "rehearsal"}, {}])
def test_every_variable_is_in_the_example_environment(settings: dict[str, Any], model_dir: str | None) -> None:
    files = compose_files(plan(**settings), model_dir)
    used = set(re.findall(r"\$\{(STEPAUDIO_\w+)", files["compose.yaml"]))
    named = set(re.findall(r"^#?(STEPAUDIO_\w+)=", files[".env.example"], re.MULTILINE))
    assert used == named


def test_a_checkpoint_on_this_machine_is_the_default() -> None:
    files = compose_files(plan(), "/hub/models--Org--R1")
    assert "${STEPAUDIO_MODEL_DIR:-/hub/models--Org--R1}" in files["compose.yaml"]
    assert "#STEPAUDIO_MODEL_DIR=/hub/models--Org--R1\n" in files[".env.example"]
    assert "(required)" not in files[".env.example"]


def test_a_rehearsal_without_a_checkpoint_asks_for_none() -> None:
    absent = facts(checkpoint=checkpoint(exists=False))
    assert not any("MODEL_DIR" in text for text in compose_files(plan(absent, engine="rehearsal")).values())


def filled(text: str, **environment: str) -> str:
    """What compose makes of a text: variables, their defaults, and doubled dollars."""

    def value(found: re.Match[str]) -> str:
        return environment.get(found["name"] or "", found["default"] or "") if found["name"] else "$"

    return re.sub(r"\$\$|\$\{(?P<name>\w+)(:-(?P<default>[^}]*))?[^}]*\}", value, text)


def test_the_labels_tell_what_the_environment_file_makes_of_the_service() -> None:
    found = checkpoint(mount_source=Path("/hub/models--Org--R1"), inside="snapshots/abc", is_repository=True)
    made = plan(facts(checkpoint=found), engine_args=("--x", "$HOME"), port=8000, stop_grace=30)
    labels = {
        key.removeprefix(LABEL_PREFIX): filled(text, STEPAUDIO_PORT="81", STEPAUDIO_NAME="r", STEPAUDIO_MODEL_DIR="/m")
        for key, text in service(made)["labels"].items()
    }
    assert (labels["deployment"], labels["engine"], labels["endpoint"]) == ("r", "vllm", "http://127.0.0.1:81")
    assert labels["plan-hash"] != made.hash
    identity = json.loads(labels["plan"])
    assert identity["ports"] == [{"host_ip": "127.0.0.1", "host_port": 81, "container_port": 9999}]
    assert (identity["stop_grace"], identity["key_file"]) == (30, None)
    again = Settings.model_validate(json.loads(labels["settings"]))
    assert (again.name, again.port, again.host, again.image) == ("r", 81, "127.0.0.1", made.image)
    assert (again.model, again.engine_args) == ("/m/snapshots/abc", ("--x", "$HOME"))


def test_a_key_is_not_written_into_it() -> None:
    assert not any("k-very-secret" in text for text in compose_files(plan(api_key="k-very-secret")).values())
