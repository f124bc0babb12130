"""`doctor` as a user has it, with and without a driver, without Docker."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest
from support.checkpoints import fabricate
from support.facts import machine_file

if TYPE_CHECKING:
    from pathlib import Path

    from support.cli import Cli
    from support.nvml import NvmlStandin

NO_DOCKER = {"DOCKER_HOST": "unix:///nonexistent"}


def levels(document: Any) -> dict[str, str]:
    return {finding["id"]: finding["level"] for finding in document["findings"]}


def test_the_json_is_findings_and_whether_all_is_well(run_cli: Cli) -> None:
    done = run_cli("doctor", "--json", env=NO_DOCKER)
    assert done.code == 3
    assert done.json["ok"] is False
    assert all(finding.keys() == {"id", "group", "level", "what", "why", "fix"} for finding in done.json["findings"])
    assert levels(done.json)["checkpoint-missing"] == "blocker"
    (engine,) = [finding for finding in done.json["findings"] if finding["id"].startswith("engine-")]
    assert engine["level"] == "blocker"
    assert "/nonexistent" in engine["what"]
    assert engine["fix"]


def test_a_rehearsal_without_containers_is_ready(run_cli: Cli, free_port: int) -> None:
    words = ("doctor", "--engine", "rehearsal", "--runtime", "process", "--port", str(free_port))
    done = run_cli(*words, env=NO_DOCKER)
    assert done.code == 0
    start = f"stepaudio-serve up --engine rehearsal --runtime process --port {free_port}".split()
    line = next(line for line in done.stdout.splitlines() if "ready: " in line)
    assert sorted(line.partition("ready: ")[2].split()) == sorted(start)
    assert run_cli(*words, "--json", env=NO_DOCKER).json["ok"] is True


def test_a_whole_checkpoint_on_a_card_that_holds_it_is_ready(
    run_cli: Cli, nvml_standin: NvmlStandin, tmp_path: Path, free_port: int
) -> None:
    folder = fabricate(tmp_path / "r1")
    words = ("doctor", "--runtime", "process", "--model", folder, "--port", str(free_port))
    env = {**NO_DOCKER, **nvml_standin("rtx-pro-6000")}
    without = run_cli(*words, "--json", env=env)
    assert (without.code, levels(without.json)["no-program"]) == (3, "blocker")
    program = tmp_path / "bin" / "vllm"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    done = run_cli(*words, "--json", env={**env, "PATH": f"{program.parent}:{os.environ['PATH']}"})
    assert done.code == 0, done.stdout
    assert levels(done.json)["gpu"] == levels(done.json)["quantization"] == levels(done.json)["memory"] == "ok"
    assert done.json["profile"] == "rtx-pro-6000"


@pytest.mark.parametrize(
    ("error", "identity"),
    [("LIB_RM_VERSION_MISMATCH", "gpu-mismatch"), ("DRIVER_NOT_LOADED", "gpu-no-driver")],
)
def test_faults_of_the_driver_are_told_apart(
    run_cli: Cli, nvml_standin: NvmlStandin, error: str, identity: str
) -> None:
    env = nvml_standin("rtx-5090", fail={"nvmlInitWithFlags": error, "nvmlInit_v2": error})
    document = run_cli("doctor", "--runtime", "process", "--json", env={**NO_DOCKER, **env}).json
    assert levels(document)[identity] == "blocker"


def test_a_held_port_names_its_holder(run_cli: Cli, free_port: int) -> None:
    words = ("doctor", "--engine", "rehearsal", "--runtime", "process", "--port", str(free_port))
    with socket.create_server(("127.0.0.1", free_port)):
        done = run_cli(*words, env=NO_DOCKER)
    assert done.code == 3
    assert "pid " in done.stdout
    assert "fix  --port " in done.stdout


def test_what_is_written_for_people_has_a_why_and_a_fix_below_what_is_not_good(run_cli: Cli) -> None:
    done = run_cli("doctor", env=NO_DOCKER)
    lines = done.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("checkpoint"))
    assert "✗ the checkpoint" in lines[at]
    assert lines[at + 1].strip().startswith("why")
    assert lines[at + 2].strip().startswith("fix  stepaudio-serve pull")
    assert "blocker" in lines[-1]
    assert "\x1b[" not in done.stdout


# ---- facts files


def test_another_machines_facts_are_checked_instead_of_this_ones(run_cli: Cli) -> None:
    document = run_cli("doctor", "--json", "--facts", machine_file("gb10"), env=NO_DOCKER).json
    found = levels(document)
    assert found["capability"] == found["platform"] == "blocker"
    assert not any(identity.startswith("engine-daemon") or identity == "port" for identity in found)


def test_facts_are_saved_and_read_again(run_cli: Cli, nvml_standin: NvmlStandin) -> None:
    env = {**NO_DOCKER, **nvml_standin("rtx-5090")}
    path = run_cli.folder / "box.json"
    path.write_text("old")
    here = run_cli("doctor", "--json", "--save-facts", path, env=env)
    assert "box.json" in here.stderr
    assert json.loads(path.read_text())["gpus"][0]["compute_capability"] == "12.0"
    assert [item.name for item in run_cli.folder.iterdir()] == ["box.json"]
    there = run_cli("doctor", "--json", "--facts", path, env=NO_DOCKER).json
    gpu = next(finding for finding in here.json["findings"] if finding["id"] == "gpu")
    assert gpu in there["findings"]


def test_facts_saved_into_a_folder_that_is_not_there_name_the_file_asked_for(run_cli: Cli) -> None:
    done = run_cli("doctor", "--save-facts", "absent/box.json", env=NO_DOCKER)
    assert done.code == 2
    assert "absent/box.json" in done.stderr
    assert "mkdir -p" in done.stderr
    assert ".box.json." not in done.stderr


def test_a_file_that_holds_no_facts_is_refused(run_cli: Cli) -> None:
    (run_cli.folder / "x.json").write_text("[]")
    assert run_cli("doctor", "--facts", "x.json").code == 2


def test_a_wrong_setting_is_refused_before_anything_is_looked_at(run_cli: Cli) -> None:
    assert run_cli("doctor", "--port", "0").code == 2
