"""Who can reach the endpoint, the key, the port, and the deployment's name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.findings import MACHINE, blocker, found_in, levels

from stepaudio_serve.checks.address import PortUse
from stepaudio_serve.checks.deployment import NameUse
from stepaudio_serve.checks.launch import Here, check_launch
from stepaudio_serve.facts.host import PortHolder
from stepaudio_serve.plan.build import make_plan
from stepaudio_serve.settings.options import Settings
from stepaudio_serve.settings.sources import resolve

NGINX = PortHolder("127.0.0.1", 9999, "nginx", 7)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_an_address_beyond_this_machine_needs_a_key(host: str) -> None:
    assert blocker(host=host).id == "open-to-neighbours"
    for key in ({"api_key": "k"}, {"api_key_file": "/key"}, {"insecure": True}):
        finding = found_in(host=host, **key)["open-to-neighbours"]
        assert finding.level == "warning"
        assert finding.why
        assert finding.fix


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_loopback_needs_none(host: str) -> None:
    assert levels(host=host) == {}


def test_a_key_that_nobody_would_ask_for_is_refused() -> None:
    assert blocker(api_key="k", guard=False).id == "key-without-guard"


# ---- the model card's command


def card(**changes: Any) -> dict[str, str]:
    settings = resolve(profile="model-card").settings.model_copy(update=changes)
    found = check_launch(settings, MACHINE, make_plan(settings, MACHINE))
    return {
        finding.id: finding.level
        for finding in found
        if finding.level in {"warning", "blocker"} and finding.group != "memory"
    }


def test_the_model_cards_command_is_open_whatever_its_settings_say() -> None:
    assert card(host="127.0.0.1") == dict.fromkeys(("model-card", "open-to-neighbours"), "blocker")


@pytest.mark.parametrize(
    "changes",
    [
        {"guard": True, "api_key_file": Path("/key")},
        {"api_key": "k"},
        {"gpu_memory_utilization": 0.5},
        {"tensor_parallel_size": 2},
        {"runtime": "process"},
        {"engine": "rehearsal"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_model_cards_command_refuses_what_it_has_no_place_for(changes: dict[str, Any]) -> None:
    assert "model-card" not in card(insecure=True)
    assert card(insecure=True, **changes)["model-card"] == "blocker"


# ---- port


@pytest.mark.parametrize(
    ("use", "who"),
    [
        (PortUse(NGINX), "the process nginx (pid 7)"),
        (PortUse(NGINX, container="web"), "the container `web`"),
        (PortUse(NGINX, container="r1", deployment="r1"), "the container `r1`, a deployment of yours"),
        (PortUse(NGINX, deployment="r2"), "the deployment `r2`, the process nginx (pid 7)"),
        (PortUse(replace(NGINX, process="", pid=None)), "another process"),
    ],
)
def test_a_held_port_is_refused_naming_the_holder(use: PortUse, who: str) -> None:
    finding = found_in(MACHINE, Here(port=replace(use, free=10000)))["port-taken"]
    assert finding.level == "blocker"
    assert who in finding.what
    assert finding.fix == "--port 10000"


def test_a_free_port_and_one_of_our_own_are_fine() -> None:
    assert found_in(MACHINE, Here(port=PortUse()))["port"].what == "127.0.0.1:9999 is free"
    assert found_in(MACHINE, Here(port=PortUse(replaced=True)))["port"].level == "ok"
    assert "port" not in found_in()


def test_an_address_that_cannot_be_bound_is_refused() -> None:
    assert found_in(MACHINE, Here(port=PortUse(refusal="no such address")))["address"].level == "blocker"


# ---- key file


def test_a_key_file_that_cannot_be_used_is_refused_with_how_to_make_one() -> None:
    there = Here(key_file_problem="[Errno 2] No such file or directory")
    finding = found_in(MACHINE, there, api_key_file="/my keys/r1")["api-key-file"]
    assert finding.level == "blocker"
    assert finding.fix.endswith("> '/my keys/r1')")
    assert found_in(MACHINE, Here(), api_key_file="/key")["api-key-file"].level == "ok"


def test_no_fix_writes_a_key_into_a_file_that_is_there() -> None:
    there = Here(key_file_problem="line 1 is not a key")
    assert "README" not in found_in(MACHINE, there, api_key_file="/home/me/README.md")["api-key-file"].fix


# ---- name


@pytest.mark.parametrize(
    ("state", "identity", "level"),
    [
        ("foreign", "name-taken", "blocker"),
        ("twin", "name-taken", "blocker"),
        ("running", "deployment", "note"),
        ("ended", "deployment", "note"),
    ],
)
def test_what_has_the_name_is_told(state: Any, identity: str, level: str) -> None:
    finding = found_in(MACHINE, Here(name=NameUse(state, "0000")))[identity]
    assert finding.level == level
    assert finding.fix


def test_a_deployment_from_this_very_plan_is_joined() -> None:
    ours = make_plan(Settings(), MACHINE).hash
    assert found_in(MACHINE, Here(name=NameUse("running", ours)))["deployment"].level == "ok"
