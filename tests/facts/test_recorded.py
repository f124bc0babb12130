"""Facts of a machine in a file: what may be left out, what is refused, and that nothing is lost on the way."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.facts import ENGINE, FACTS, MACHINES, machine_file

from stepaudio_serve.errors import SettingsError
from stepaudio_serve.facts.engine import EngineFacts, EngineProblem, ImageFacts
from stepaudio_serve.facts.facts_file import EngineRecord, GpuRecord, ProcessRecord, SliceRecord
from stepaudio_serve.facts.gpu import Gpu, GpuProcess, Gpus, MigSlice
from stepaudio_serve.facts.recorded import on_another_machine, read_facts_file, to_document

if TYPE_CHECKING:
    from pathlib import Path

    from stepaudio_serve.facts.gather import Facts

LEAST = {"memory_total_mib": 32607, "compute_capability": "12.0"}


def there(**document: Any) -> Facts:
    return on_another_machine(FACTS, document, named="box.json")


def refusal(**document: Any) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        there(**document)
    return caught.value


# ---- what may be left out


def test_of_a_gpu_its_memory_and_capability_are_enough() -> None:
    first, second = there(gpus=[LEAST, {**LEAST, "name": "B"}]).gpus.found
    assert first == Gpu(0, "", "", 32607, 32607, "12.0")
    assert (second.index, second.name) == (1, "B")


def test_free_memory_that_is_told_to_be_unknown_stays_so() -> None:
    (gpu,) = there(gpus=[{**LEAST, "memory_free_mib": None}]).gpus.found
    assert gpu.memory_free_mib is None


def test_what_is_left_out_is_not_known_there() -> None:
    facts = there(gpus=[LEAST])
    assert (facts.engine, facts.engine_problem) == (None, None)
    assert (facts.gpus.driver_version, facts.gpus.cuda_version) == ("", "")
    assert (facts.host.memory_total_mib, facts.host.memory_available_mib) == (None, None)


def test_what_is_this_machines_only_is_dropped() -> None:
    here = replace(
        FACTS,
        image=ImageFacts("sha256:a", "amd64", ()),
        image_looked_for=True,
        engine_problem=EngineProblem("other", "a", "b", "c"),
    )
    facts = on_another_machine(here, {"gpus": [LEAST]}, named="box.json")
    assert (facts.image, facts.image_looked_for, facts.host.disks) == (None, False, ())
    assert (facts.elsewhere, facts.checkpoint) == ("box.json", here.checkpoint)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, "amd64"),  # this machine's
        ({"engine": {"architecture": "arm64"}}, "arm64"),
        ({"architecture": "arm64", "engine": {"version": "28"}}, "arm64"),
    ],
)
def test_the_architecture_is_the_machines_else_the_engines(document: dict[str, Any], expected: str) -> None:
    facts = there(gpus=[], **document)
    assert facts.architecture == expected
    assert facts.engine is None or facts.engine.architecture == expected


def test_the_kernels_names_of_processors_are_understood() -> None:
    facts = there(gpus=[], architecture="x86_64", engine={"architecture": "aarch64"})
    assert facts.architecture == "amd64"
    assert facts.engine is not None
    assert facts.engine.architecture == "arm64"


def test_a_machine_without_gpus_says_so() -> None:
    gpus = there(gpus=[]).gpus
    assert (gpus.found, gpus.absence_kind, gpus.absence) == ((), "no-gpu", "box.json lists no GPU")


# ---- what is refused


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "`gpus` is missing"),
        ({"gpus": [], "gpu": []}, "unknown key `gpu`"),
        ({"gpus": [LEAST, {**LEAST, "memory_mib": 1}]}, "unknown key `gpus[1].memory_mib`"),
        ({"gpus": [], "engine": {"runtime": "nvidia"}}, "unknown key `engine.runtime`"),
        ({"gpus": [{"compute_capability": "12.0"}]}, "`gpus[0].memory_total_mib` is missing"),
        ({"gpus": [{"memory_total_mib": 1}]}, "`gpus[0].compute_capability` is missing"),
        ({"gpus": [{**LEAST, "compute_capability": "sm_120"}]}, "`gpus[0].compute_capability`"),
        ({"gpus": [{**LEAST, "memory_total_mib": "31.36 GiB"}]}, "`gpus[0].memory_total_mib`"),
        ({"gpus": [{**LEAST, "memory_total_mib": -1}]}, "`gpus[0].memory_total_mib`"),
        ({"gpus": [{**LEAST, "memory_free_mib": 99999}]}, "memory_free_mib (99999) is more than"),
        ({"gpus": [{**LEAST, "memory_reserved_mib": 99999}]}, "memory_reserved_mib (99999) is more than"),
        ({"gpus": [LEAST, {**LEAST, "index": 0}]}, "2 GPUs have index 0"),
        ({"gpus": "all"}, "`gpus`"),
    ],
)
def test_what_is_wrong_is_named(document: dict[str, Any], said: str) -> None:
    error = refusal(**document)
    assert error.what == "box.json does not hold the facts of a machine"
    assert said in error.why
    assert "doctor --save-facts" in error.fix


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"{", "not JSON"), (b"\xff", "not JSON"), (b"[]", "not an object"), (b'{"gpu": []}', "unknown key `gpu`")],
)
def test_a_file_that_holds_something_else_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        read_facts_file(path)
    assert str(path) in caught.value.what
    assert said in caught.value.why


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_facts_file(tmp_path / "absent.json")


# ---- written and read again

names = st.text(max_size=8)
sizes = st.integers(0, 200_000)


def records(kind: type, **known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, **known)


processes = records(GpuProcess, pid=st.integers(0, 2**22), name=names, memory_mib=st.none() | sizes)
slices = records(
    MigSlice, id=names, uuid=names, name=names, memory_total_mib=st.none() | sizes, memory_free_mib=st.none() | sizes
)


@st.composite
def gpus(draw: st.DrawFn) -> tuple[Gpu, ...]:
    return tuple(draw(gpu(index)) for index in draw(st.lists(st.integers(0, 15), unique=True, max_size=4)))


def gpu(index: int) -> st.SearchStrategy[Gpu]:
    totals = st.none() | st.integers(200_000, 400_000)
    return st.builds(
        Gpu,
        index=st.just(index),
        name=names,
        uuid=names,
        memory_total_mib=totals,
        memory_free_mib=st.none() | sizes,
        compute_capability=st.sampled_from(["", "7.5", "12.0"]),
        memory_reserved_mib=st.none() | sizes,
        unified=st.booleans(),
        mig=st.booleans(),
        slices=st.lists(slices, max_size=2).map(tuple),
        processes=st.lists(processes, max_size=2).map(tuple),
        temperature_c=st.none() | st.integers(-20, 120),
        power_w=st.none() | st.floats(0, 1000),
        brand=names,
    )


engines = st.none() | st.builds(
    EngineFacts,
    architecture=st.sampled_from(["amd64", "arm64"]),
    runtimes=st.lists(names, max_size=2).map(tuple),
    storage_free=st.none() | sizes,
    memory_total=st.none() | sizes,
)


@given(gpus(), engines, names, names, st.none() | sizes, st.none() | sizes)
def test_a_machine_survives_the_file(
    found: tuple[Gpu, ...],
    engine: EngineFacts | None,
    driver: str,
    cuda: str,
    memory: int | None,
    available: int | None,
) -> None:
    machine = replace(FACTS, gpus=Gpus(found, driver_version=driver, cuda_version=cuda), engine=engine)
    machine = replace(machine, host=replace(machine.host, memory_total_mib=memory, memory_available_mib=available))
    written = json.loads(json.dumps(to_document(machine)))
    again = on_another_machine(replace(FACTS, architecture="other"), written, named="box.json")
    assert replace(again.gpus, absence="", absence_kind="") == machine.gpus
    assert (again.engine, again.host, again.architecture) == (engine, machine.host, machine.architecture)


def test_a_file_as_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(to_document(there(gpus=[LEAST], engine={"version": "28.0"}))))
    facts = on_another_machine(FACTS, read_facts_file(path), named="box.json")
    assert facts.engine == replace(EMPTY_ENGINE, version="28.0", architecture="amd64")


EMPTY_ENGINE = EngineFacts(
    url="", version="", architecture="", is_podman=False, is_remote=False, runtimes=(), cdi_nvidia=None
)


@pytest.mark.parametrize(
    ("record", "value"),
    [(GpuRecord, Gpu), (SliceRecord, MigSlice), (ProcessRecord, GpuProcess), (EngineRecord, EngineFacts)],
)
def test_the_file_has_a_key_for_every_fact(record: Any, value: type[Any]) -> None:
    assert set(record.model_fields) == {field.name for field in fields(value)}


def test_null_stands_for_what_is_not_known_and_defaults_are_left_out() -> None:
    document = to_document(replace(FACTS, gpus=Gpus((Gpu(0, "A", "", None, None, ""),)), engine=None))
    assert document["gpus"] == [
        {
            "index": 0,
            "name": "A",
            "uuid": "",
            "memory_total_mib": None,
            "memory_free_mib": None,
            "compute_capability": "",
        }
    ]
    assert "engine" not in document
    assert to_document(replace(FACTS, engine=ENGINE))["engine"]["runtimes"] == ["nvidia", "runc"]


# ---- the machines of the tests


@pytest.mark.parametrize("path", sorted(MACHINES.glob("*.json")), ids=lambda path: path.stem)
def test_the_machines_of_the_tests_are_facts_files_and_say_where_they_come_from(path: Path) -> None:
    assert "not recorded from a real card" in str(read_facts_file(path)["source"])


def test_a_program_gets_what_was_seen_of_these_cards() -> None:
    for name, gib in (("rtx-5090", 31.36), ("rtx-pro-6000", 95.0), ("l40s-x4", 44.64)):
        first = on_another_machine(FACTS, read_facts_file(machine_file(name)), named=name).gpus.found[0]
        assert first.memory_total_mib is not None
        assert first.memory_reserved_mib is not None
        assert (first.memory_total_mib - first.memory_reserved_mib) / 1024 == pytest.approx(gib, abs=0.005)
