"""The plan as a `docker run` line: what a shell makes of the line is what the plan says."""

from __future__ import annotations

import csv
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.facts import checkpoint, engine, facts

from stepaudio_serve.plan.build import make_plan
from stepaudio_serve.render.run import files_in_place, labels_file, run_command, run_files
from stepaudio_serve.settings.options import Settings
from stepaudio_serve.settings.sources import resolve

if TYPE_CHECKING:
    from stepaudio_serve.facts.gather import Facts
    from stepaudio_serve.plan.plan import Plan

R1 = facts(31.36)


def plan(found: Facts = R1, **settings: Any) -> Plan:
    return make_plan(Settings(**settings), found)


def words(made: Plan) -> list[str]:
    return shlex.split(run_command(made).replace("\\\n", " "))


def values(made: Plan, flag: str) -> list[str]:
    line = words(made)
    return [line[at + 1] for at, word in enumerate(line) if word == flag]


def test_it_ends_with_image_and_engine_command() -> None:
    made = plan(engine_args=("--seed", "1"))
    assert words(made)[-len(made.command) - 1 :] == [made.image, *made.command]


def test_every_part_of_the_plan_is_there() -> None:
    made = plan(api_key="k", gpus="0,1", restart="always", stop_grace=30)
    shape, check = made.container, made.container.health_check
    assert check is not None
    assert values(made, "--name") == [made.name]
    assert values(made, "--publish") == ["127.0.0.1:9999:9999"]
    assert values(made, "--label-file") == [str(labels_file(made))]
    assert values(made, "--env") == [f"{key}={value}" for key, value in made.environment.items()]
    assert values(made, "--mount") == [
        f"type={mount.kind},source={mount.source},target={mount.target}{',readonly' if mount.read_only else ''}"
        for mount in made.mounts
    ]
    assert values(made, "--cap-drop") == list(shape.cap_drop)
    assert values(made, "--cap-add") == list(shape.cap_add)
    assert values(made, "--security-opt") == list(shape.security_opt)
    assert values(made, "--shm-size") == [f"{shape.shm_size_mib}m"]
    assert values(made, "--log-opt") == [f"{key}={value}" for key, value in shape.log_options.items()]
    assert values(made, "--restart") == ["always"]
    assert values(made, "--stop-timeout") == ["30"]
    assert shlex.split(values(made, "--health-cmd")[0]) == list(check.test[1:])
    assert values(made, "--health-start-period") == [f"{check.start_period}s"]
    assert values(made, "--entrypoint") == ["vllm"]
    assert "--rm" not in words(made)


@pytest.mark.parametrize(
    ("gpus", "flags"),
    [("all", ["--gpus", "all"]), ("0,1", ["--gpus", '"device=0,1"']), ("none", [])],
)
def test_gpus_by_runtime(gpus: str, flags: list[str]) -> None:
    line = words(plan(gpus=gpus))
    assert [word for word in line if word in {"--gpus", *flags}] == flags


def test_gpus_by_cdi() -> None:
    found = facts(engine=engine(runtimes=("runc",), cdi_nvidia=True))
    assert values(plan(found, gpus="0,1"), "--device") == ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]


def test_paths_with_spaces_quotes_and_commas_survive_the_shell() -> None:
    odd = Path("""/my models/it's, a "real" r1 ü""")
    made = plan(facts(checkpoint=checkpoint(path=odd, mount_source=odd)))
    (fields,) = csv.reader(values(made, "--mount")[:1])  # the flag's value is one line of CSV
    assert fields == ["type=bind", f"source={odd}", "target=/Step-Audio-R1", "readonly"]


def test_an_ipv6_address_is_bracketed() -> None:
    assert values(plan(host="::1"), "--publish") == ["[::1]:9999:9999"]


def test_a_process_is_a_line_with_its_environment() -> None:
    made = plan(runtime="process", gpus="0")
    line = words(made)
    assert line[0] == "env"
    assert "CUDA_VISIBLE_DEVICES=0" in line
    assert line[-len(made.command) - 1 :] == ["vllm", *made.command]


def test_each_flag_stands_on_a_line_of_its_own() -> None:
    lines = run_command(plan()).splitlines()
    assert all(line.endswith(" \\") for line in lines[:-1])
    assert "  --max-model-len 16384 \\" in lines


# ---- its files


def test_the_labels_are_in_a_file_as_docker_reads_it() -> None:
    made = plan()
    lines = files_in_place(made)[labels_file(made)].splitlines()
    assert dict(line.split("=", 1) for line in lines) == dict(made.labels)
    assert labels_file(plan(port=1)) != labels_file(made)


def test_the_files_are_where_the_line_looks_for_them() -> None:
    made = plan()
    assert files_in_place(made).items() >= {
        (Path(made.files_source) / path, text) for path, text in made.files.items()
    }  # fmt: skip


def test_the_model_cards_command_has_none() -> None:
    assert files_in_place(make_plan(resolve(profile="model-card").settings, R1)) == {}


@pytest.mark.parametrize("settings", [{}, {"runtime": "process"}])
def test_the_script_looks_for_its_files_where_they_are_written(settings: dict[str, Any]) -> None:
    made = plan(**settings)
    files = run_files(made, Path("/out put"))
    script = files.pop("run.sh")
    assert (files.pop("labels", None) is not None) is (made.runtime == "docker")
    assert ("/out put/labels" in script) is (made.runtime == "docker")
    assert {path.removeprefix("engine/") for path in files} == made.files.keys()
    assert made.files_source not in script
    assert "/out put/engine" in script
    assert script.startswith("#!/bin/sh\nexec ")
