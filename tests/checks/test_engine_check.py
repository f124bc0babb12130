"""The container engine, the image, the disks and the host."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from support.facts import engine, facts
from support.findings import MACHINE, R1, blocker, found_in, levels

from stepaudio_serve.checks.image import check_platform_of
from stepaudio_serve.facts.checkpoint import Weights
from stepaudio_serve.facts.engine import EngineProblem, ImageFacts
from stepaudio_serve.facts.engine_problem import EngineProblemKind
from stepaudio_serve.facts.host import Disk, HostFacts

GB = 10**9


def test_a_good_engine_is_described() -> None:
    told = replace(MACHINE, engine=engine(api_version="1.45", rootless=True, context="work"))
    assert found_in(told)["engine"].what == "Docker Engine 26.1.5, API 1.45, rootless, context work"
    assert levels() == {}


@pytest.mark.parametrize("kind", get_args(EngineProblemKind))
def test_an_engine_that_does_not_answer_is_a_finding_with_its_own_words(kind: str) -> None:
    problem = EngineProblem(kind, "no engine answers", "its daemon is down", "sudo systemctl start docker")  # type: ignore[arg-type]
    finding = blocker(replace(MACHINE, engine=None, engine_problem=problem))
    assert (finding.id, finding.fix) == (f"engine-{kind}", problem.fix)
    assert levels(replace(MACHINE, engine=None, engine_problem=problem), runtime="process") == {}


def test_an_engine_on_another_machine_is_refused() -> None:
    finding = blocker(replace(MACHINE, engine=engine(is_remote=True, url="ssh://box")))
    assert finding.id == "remote-engine"
    assert "ssh://box" in finding.what


def test_an_old_podman_ignores_gpu_requests() -> None:
    assert levels(replace(MACHINE, engine=engine(is_podman=True, version="4.3.1")))["podman-gpu"] == "blocker"
    assert levels(replace(MACHINE, engine=engine(is_podman=True, version="5.4.0")))["podman-gpu"] == "warning"
    assert "podman-gpu" not in levels(replace(MACHINE, engine=engine(is_podman=True)), gpus="none")


def test_a_rootless_engine_is_told_about_cgroups() -> None:
    assert "no-cgroups" in found_in(replace(MACHINE, engine=engine(rootless=True)))["rootless-gpu"].fix


# ---- image


def test_an_image_that_does_not_exist_for_the_processor_is_refused() -> None:
    arm = replace(MACHINE, architecture="arm64")
    finding = blocker(arm)
    assert finding.id == "platform"
    assert "linux/arm64" in finding.what
    assert "platform" not in levels(arm, image="mine:1")
    assert "platform" not in levels(arm, engine="rehearsal")


def test_a_present_image_for_another_processor_is_refused() -> None:
    (finding,) = check_platform_of(ImageFacts("sha256:1", "amd64", ()), "mine:1", "arm64")
    assert "exec format error" in finding.why
    assert check_platform_of(ImageFacts("sha256:1", "arm64", ()), "mine:1", "arm64") == ()
    there = replace(MACHINE, architecture="arm64", image=ImageFacts("sha256:1", "amd64", ()), image_looked_for=True)
    assert blocker(there, image="mine:1").id == "platform"


def test_an_image_is_here_or_to_be_fetched() -> None:
    here = replace(MACHINE, image=ImageFacts("sha256:1", "amd64", (), size=21 * GB), image_looked_for=True)
    assert "21.0 GB" in found_in(here)["image"].what
    missing = replace(MACHINE, image_looked_for=True)
    assert found_in(missing)["image-missing"].fix == "stepaudio-serve pull"
    assert found_in(missing, image="mine:1")["image-missing"].fix == "stepaudio-serve pull --image mine:1"
    assert found_in(missing, engine="rehearsal")["image-missing"].fix == "make rehearsal-image"


# ---- disks and host


@pytest.mark.parametrize(("free", "level"), [(30 * GB, "ok"), (20 * GB, "blocker")])
def test_a_checkpoint_of_known_size_needs_room(free: int, level: str) -> None:
    absent = replace(R1, exists=False, is_repository=True, published=True, weights=Weights(22 * GB, 0))
    host = HostFacts(disks=(Disk("models", Path("/data"), free, 100 * GB),))
    finding = found_in(facts(31.36, checkpoint=absent, host=host))["disk-models"]
    assert finding.level == level
    assert level == "ok" or ("22.0 GB" in finding.why and "--models-dir" in finding.fix)


def test_an_image_of_unknown_size_is_warned_of_where_little_is_free() -> None:
    small = engine(storage="/var/lib/docker", storage_free=9 * GB)
    assert found_in(replace(MACHINE, engine=small, image_looked_for=True))["disk-images"].level == "warning"
    large = replace(small, storage_free=900 * GB)
    assert found_in(replace(MACHINE, engine=large, image_looked_for=True))["disk-images"].level == "note"
    here = ImageFacts("sha256:1", "amd64", ())
    assert found_in(replace(MACHINE, engine=small, image=here, image_looked_for=True))["disk-images"].level == "ok"


def test_another_machine_is_said_to_be_one_and_its_disks_are_not_this_machines() -> None:
    host = HostFacts(disks=(Disk("models", Path("/data"), 1, 1),))
    found = found_in(replace(MACHINE, host=host, elsewhere="box.json"))
    assert "box.json" in found["elsewhere"].what
    assert "disk-models" not in found
