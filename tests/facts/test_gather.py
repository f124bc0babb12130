"""All facts at once: what is looked at, and that nothing that hangs holds up the rest."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.checkpoints import fabricate, write_shard

from stepaudio_serve import Settings
from stepaudio_serve.facts.engine import connect
from stepaudio_serve.facts.gather import gather, guard_sources
from stepaudio_serve.facts.trusted_code import FOLDER, record_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conftest import EngineStandin
    from docker import DockerClient
    from support.nvml import NvmlStandin

    from stepaudio_serve.facts.gather import Facts

IMAGE = {"Id": "sha256:1", "RepoDigests": [], "Architecture": "amd64", "Config": {"Env": ["NVIDIA_REQUIRE_CUDA=x"]}}
HERE = """
import pickle, sys
from stepaudio_serve import Settings
from stepaudio_serve.facts.gather import gather
facts = gather(Settings(runtime="process"), seconds={seconds})
sys.stdout.buffer.write(pickle.dumps((facts.gpus, facts.host)))
"""


def settings(**changes: Any) -> Settings:
    return Settings.model_validate({"gpus": "none", **changes})


@pytest.fixture(autouse=True)
def own_homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    for variable in ("HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


@pytest.fixture
def client(engine_standin: EngineStandin, no_engine_chosen: Path, monkeypatch: pytest.MonkeyPatch) -> DockerClient:
    monkeypatch.setenv("DOCKER_HOST", engine_standin.address)
    return connect()


def gathered_elsewhere(environment: Mapping[str, str], *, seconds: float = 60) -> Any:
    code = HERE.format(seconds=seconds)
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return pickle.loads(done.stdout)


def test_without_a_client_no_engine_is_looked_at() -> None:
    facts = gather(settings())
    assert (facts.engine, facts.engine_problem, facts.image, facts.image_looked_for) == (None, None, None, False)


@pytest.mark.parametrize(
    ("changes", "reference"),
    [
        ({}, "stepfun2025/vllm:step-audio-2-v20250909"),
        ({"engine": "rehearsal"}, "stepaudio-serve/rehearsal:0.1.0"),
        ({"image": "mine:1"}, "mine:1"),
    ],
)
def test_the_image_is_the_one_that_the_plan_has(
    changes: dict[str, str], reference: str, client: DockerClient, engine_standin: EngineStandin
) -> None:
    absent = gather(settings(**changes), client=client)
    assert (absent.image, absent.image_looked_for) == (None, True)
    engine_standin.answers[f"/images/{reference}/json"] = IMAGE
    present = gather(settings(**changes), client=client)
    assert present.image is not None
    assert present.image.environment == {"NVIDIA_REQUIRE_CUDA": "x"}


def test_the_architecture_is_the_engines(client: DockerClient, engine_standin: EngineStandin) -> None:
    engine_standin.says(Architecture="aarch64")
    assert gather(settings(), client=client).architecture == "arm64"


def test_an_engine_that_hangs_is_told_and_does_not_hold_up_the_rest(
    client: DockerClient, engine_standin: EngineStandin
) -> None:
    with engine_standin.hangs():
        facts = gather(settings(), client=client, seconds=0.5)
    assert facts.engine is None
    assert facts.engine_problem is not None
    assert facts.engine_problem.kind == "timed-out"
    assert not facts.image_looked_for
    assert facts.host.memory_total_mib


def test_what_an_engine_refuses_is_raised(client: DockerClient, engine_standin: EngineStandin) -> None:
    from docker.errors import APIError

    del engine_standin.answers["/info"]
    with pytest.raises(APIError):
        gather(settings(), client=client)


def test_a_checkpoint_on_a_disk_that_hangs_is_not_taken_for_a_missing_one(own_homes: Path) -> None:
    folder = fabricate(own_homes / "model", "tiny", shards=1)
    for number in range(3000):  # more than anybody looks at in a millisecond
        write_shard(folder / f"more-{number}.safetensors")
    facts = gather(settings(model=str(folder)), seconds=0.001)
    assert facts.checkpoint.exists
    assert not facts.checkpoint.is_repository
    assert facts.checkpoint.path == folder
    assert facts.checkpoint.problem == "its disk gave no answer within 0.001 s"


def test_no_gpu_is_looked_for_where_none_is_asked_for(own_homes: Path) -> None:
    assert gather(settings()).gpus.absence_kind == "not-asked"
    assert gather(settings(engine="rehearsal", gpus="all")).gpus.absence_kind == "not-asked"


def test_the_gpus_of_this_machine(nvml_standin: NvmlStandin) -> None:
    gpus, host = gathered_elsewhere(nvml_standin("rtx-pro-6000"))
    assert [gpu.name for gpu in gpus.found] == ["NVIDIA RTX PRO 6000 Blackwell Workstation Edition"]
    assert host.memory_total_mib


def test_a_driver_that_hangs_is_told_and_the_process_ends(nvml_standin: NvmlStandin) -> None:
    gpus, host = gathered_elsewhere(nvml_standin("h100", hang={"nvmlInitWithFlags": 600}), seconds=1)
    assert (gpus.found, gpus.absence_kind) == ((), "timed-out")
    assert gpus.absence == "the NVIDIA driver gave no answer within 1 s"
    assert host.memory_total_mib


def disks(facts: Facts) -> dict[str, Path]:
    return {disk.purpose: disk.path for disk in facts.host.disks}


def test_the_disks_are_those_that_things_will_go_to(own_homes: Path) -> None:
    (own_homes / "huggingface").mkdir()
    assert disks(gather(settings())) == {"models": own_homes / "huggingface", "state": own_homes}
    chosen = own_homes / "models"
    chosen.mkdir()
    assert disks(gather(settings(models_dir=str(chosen / "not" / "yet"))))["models"] == chosen


def test_code_that_was_trusted_before_is_told(own_homes: Path) -> None:
    first = gather(settings())
    assert first.trusted_code is None
    record = record_path(first.folders.state, first.checkpoint)
    assert FOLDER in record.parts
    record.parent.mkdir(parents=True)
    record.write_text('{"files": {"modeling.py": "abc"}}')
    assert gather(settings()).trusted_code == {"modeling.py": "abc"}


def test_the_engine_gets_no_module_that_needs_pyav() -> None:
    sources = guard_sources()
    assert {"__init__.py", "guard/middleware.py", "guard/request/fields.json", "audio/decode.py"} <= sources.keys()
    assert [name for name, text in sources.items() if "import av" in text or "mixdown" in text] == []
