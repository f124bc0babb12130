"""GPUs: why there are none, whether those asked for are there, and whether a container can have them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import pytest
from support.facts import cards, engine, facts, machine
from support.findings import MACHINE, R1, blocker, found_in, levels

from stepaudio_serve.facts.gpu import AbsenceKind, Gpus

if TYPE_CHECKING:
    from stepaudio_serve.facts.gather import Facts

KINDS = [kind for kind in get_args(AbsenceKind) if kind not in {"", "not-asked"}]
NO_WAY = engine(runtimes=("runc",), cdi_nvidia=False, gpu_hook=False, toolkit=False)


def without(kind: str, **changes: Any) -> Facts:
    """A machine whose driver shows no GPU."""
    gpus = Gpus((), absence="NVML says: no", absence_kind=kind)  # type: ignore[arg-type]
    return replace(MACHINE, gpus=gpus, **{"engine": NO_WAY, **changes})


def test_a_gpu_is_described() -> None:
    what = found_in(machine("rtx-5090"))["gpu"].what
    assert all(words in what for words in ("RTX 5090", "GiB", "compute capability 12.0", "driver", "CUDA"))
    assert found_in(machine("l40s-x4"))["gpu"].what.startswith("4 x ")


# ---- none


def test_every_absence_has_words_and_a_fix_of_its_own() -> None:
    said = {kind: blocker(without(kind)) for kind in KINDS}
    for part in ("id", "what", "fix"):
        assert len({getattr(finding, part) for finding in said.values()}) == len(KINDS)
    assert all(blocker(without(kind), runtime="process").id == said[kind].id for kind in KINDS)


@pytest.mark.parametrize(
    ("kind", "fix"),
    [
        ("no-driver", "sudo modprobe nvidia"),
        ("mismatch", "sudo reboot"),
        ("gpu-lost", "dmesg"),
        ("no-gpu", "--gpus none"),
    ],
)
def test_the_fix_is_the_one_that_helps(kind: str, fix: str) -> None:
    assert fix in blocker(without(kind)).fix


def test_where_no_gpu_is_known_of_no_driver_is_said_to_have_been_seen() -> None:
    assert "driver" not in blocker(without("no-gpu")).what


@pytest.mark.parametrize("can", [{"cdi_nvidia": True}, {"gpu_hook": True}, {"runtimes": ("nvidia",)}])
def test_an_engine_that_passes_gpus_on_may_know_better_than_a_library_that_is_not_found(can: dict[str, Any]) -> None:
    able = replace(NO_WAY, **can)
    assert levels(without("no-library", engine=able)) == {"gpu-no-library": "warning"}
    assert levels(without("no-library", engine=able), runtime="process") == {"gpu-no-library": "blocker"}


@pytest.mark.parametrize("kind", ["no-driver", "mismatch", "gpu-lost", "no-gpu"])
def test_what_the_driver_itself_says_no_engine_overrides(kind: str) -> None:
    assert blocker(without(kind, engine=replace(NO_WAY, gpu_hook=True)))


def test_no_gpu_on_purpose_is_a_note() -> None:
    assert found_in(without("not-asked"), gpus="none")["no-gpu"].level == "note"
    assert levels(without("not-asked"), gpus="none") == {}
    assert levels(without("not-asked"), engine="rehearsal") == {}


# ---- those asked for


def test_a_gpu_that_is_not_there_is_refused() -> None:
    finding = blocker(gpus="1")
    assert finding.id == "gpu-missing"
    assert "no GPU 1" in finding.what
    assert "this machine has GPU 0 (card 0)" in finding.why
    assert blocker(gpus="GPU-9999").id == "gpu-missing"
    assert levels(gpus="GPU-0000") == {}
    assert levels(gpus=finding.fix.removeprefix("--gpus ")) == {}


def test_slices_are_known_by_id_and_uuid() -> None:
    there = machine("h100-mig", checkpoint=R1)
    item = there.gpus.found[0].slices[0]
    for name in (item.id, item.uuid):
        assert "gpu-missing" not in levels(there, gpus=name)
    assert levels(there, gpus="0:9")["gpu-missing"] == "blocker"


def test_a_lost_gpu_beside_others_is_a_warning_and_a_blocker_where_it_was_chosen() -> None:
    half = replace(MACHINE, gpus=replace(cards([31.36]), lost=(1,)))
    assert levels(half) == {"gpu-lost": "warning"}
    assert levels(half, gpus="0") == {"gpu-lost": "warning"}
    assert blocker(half, gpus="0,1", tensor_parallel_size=1).fix == "--gpus 0"


def test_a_gpu_that_does_not_answer_is_told_with_the_drivers_words() -> None:
    half = replace(MACHINE, gpus=replace(cards([31.36]), unanswered=((1, "Unknown Error"),)))
    assert levels(half) == {"gpu-unanswered": "warning"}
    assert "Unknown Error" in found_in(half)["gpu-unanswered"].why
    assert blocker(half, gpus="0,1", tensor_parallel_size=1).id == "gpu-unanswered"


def test_a_split_over_more_gpus_than_will_be_there_is_refused() -> None:
    assert levels(facts(31, 31, checkpoint=R1), tensor_parallel_size=4)["too-few-gpus"] == "blocker"
    assert "too-few-gpus" not in levels(facts(31, 31, checkpoint=R1), tensor_parallel_size=2)
    assert found_in(facts(96, 96), gpus="1", tensor_parallel_size=2)["too-few-gpus"].fix == "--tensor-parallel-size 1"


@pytest.mark.parametrize(("gpus", "asked", "fix"), [(1, 3, "1"), (3, 5, "2")])
def test_a_split_that_cannot_be_is_refused_once_with_a_number_for_gpus_and_heads(
    gpus: int, asked: int, fix: str
) -> None:
    found = levels(facts(*[31.36] * gpus, checkpoint=R1), tensor_parallel_size=asked)
    assert [name for name, level in found.items() if level == "blocker"] == ["too-few-gpus"]
    told = found_in(facts(*[31.36] * gpus, checkpoint=R1), tensor_parallel_size=asked)["too-few-gpus"]
    assert told.fix == f"--tensor-parallel-size {fix}"


# ---- into a container


@pytest.mark.parametrize(
    ("changes", "identity", "fix"),
    [
        ({}, "gpu-toolkit-missing", "apt-get install nvidia-container-toolkit"),
        ({"toolkit": True}, "gpu-runtime-unregistered", "nvidia-ctk runtime configure --runtime=docker"),
        ({"toolkit": True, "is_podman": True, "version": "5.4.0"}, "gpu-cdi-missing", "nvidia-ctk cdi generate"),
    ],
    ids=["toolkit", "runtime", "cdi"],
)
def test_what_is_missing_between_gpu_and_container_is_told_apart(
    changes: dict[str, Any], identity: str, fix: str
) -> None:
    finding = blocker(replace(MACHINE, engine=replace(NO_WAY, **changes)))
    assert finding.id == identity
    assert fix in finding.fix


@pytest.mark.parametrize("can", [{"cdi_nvidia": True}, {"gpu_hook": True}, {"runtimes": ("nvidia",)}])
def test_each_way_into_a_container_is_enough(can: dict[str, Any]) -> None:
    assert found_in(replace(MACHINE, engine=replace(NO_WAY, **can)))["gpu-passing"].level == "ok"


def test_an_engine_that_cannot_be_looked_into_is_a_note() -> None:
    unseen = replace(NO_WAY, toolkit=None, gpu_hook=None, cdi_nvidia=None)
    assert found_in(replace(MACHINE, engine=unseen))["gpu-passing"].level == "note"
