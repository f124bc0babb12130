"""Settings and facts in, a plan out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.facts import checkpoint, engine, facts

from stepaudio_serve.plan.build import endpoint_of, make_plan
from stepaudio_serve.plan.labels import LABEL_PREFIX
from stepaudio_serve.plan.plan import GpuRequest, Mount, Plan, Port
from stepaudio_serve.settings.options import Settings

if TYPE_CHECKING:
    from stepaudio_serve.facts.gather import Facts

R1 = facts(31.36)


def plan(found: Facts = R1, **settings: Any) -> Plan:
    return make_plan(Settings(**settings), found)


def mount_at(made: Plan, target: str) -> Mount:
    (found,) = [mount for mount in made.mounts if mount.target == target]
    return found


# ---- address


def test_the_port_is_published_on_loopback() -> None:
    assert plan().ports == (Port("127.0.0.1", 9999, 9999),)
    assert plan(port=8080).ports == (Port("127.0.0.1", 8080, 9999),)


@pytest.mark.parametrize(
    ("host", "endpoint"),
    [
        ("127.0.0.1", "http://127.0.0.1:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("::", "http://[::1]:1"),
        ("::1", "http://[::1]:1"),
        ("192.0.2.7", "http://192.0.2.7:1"),
    ],
)
def test_the_endpoint_is_an_address_to_call_from_here(host: str, endpoint: str) -> None:
    assert endpoint_of(host, 1) == endpoint


# ---- image, checkpoint, files


def test_the_known_image_is_used_unless_one_is_named() -> None:
    assert plan().image == "stepfun2025/vllm:step-audio-2-v20250909"
    assert plan(engine_image="upstream").image.startswith("vllm/vllm-openai:")
    assert plan(engine_image="upstream", image="mine:1").image == "mine:1"
    assert plan().entrypoint == ("vllm",)
    assert plan(engine="rehearsal").entrypoint == ("stepaudio-rehearsal",)


def test_the_checkpoint_is_mounted_read_only() -> None:
    assert mount_at(plan(), "/Step-Audio-R1") == Mount("/models/r1", "/Step-Audio-R1", read_only=True)
    assert plan().command[:2] == ("serve", "/Step-Audio-R1")


def test_a_snapshot_of_the_hubs_cache_is_served_from_inside_its_repository() -> None:
    found = checkpoint(mount_source=Path("/hub/models--Org--R1"), inside="snapshots/abc", is_repository=True)
    made = plan(facts(checkpoint=found))
    assert mount_at(made, "/Step-Audio-R1").source == "/hub/models--Org--R1"
    assert made.command[1] == "/Step-Audio-R1/snapshots/abc"


def test_a_rehearsal_needs_no_checkpoint_but_takes_one() -> None:
    absent = facts(checkpoint=checkpoint(exists=False))
    assert "/Step-Audio-R1" in [mount.target for mount in plan(engine="rehearsal").mounts]
    assert "/Step-Audio-R1" not in [mount.target for mount in plan(absent, engine="rehearsal").mounts]


def test_template_generation_config_and_guard_are_files_in_one_read_only_folder() -> None:
    made = plan()
    assert made.files.keys() == {
        "chat_template.jinja",
        "generation_config/generation_config.json",
        "stepaudio_guard/__init__.py",
        "stepaudio_guard/guard/__init__.py",
    }
    assert json.loads(made.files["generation_config/generation_config.json"])["eos_token_id"][-1] == 151665
    assert mount_at(made, "/opt/stepaudio") == Mount(made.files_source, "/opt/stepaudio", read_only=True)
    assert made.environment["PYTHONPATH"] == "/opt/stepaudio"


def test_the_files_folder_is_named_by_what_is_in_it() -> None:
    other = plan(facts(chat_template="other"))
    assert (
        Path(plan().files_source).parent == Path(other.files_source).parent == Path("/state/deployments/step-audio-r1")
    )
    assert plan().files_source != other.files_source
    assert plan(port=1).files_source == plan().files_source


def test_without_the_guard_nothing_of_it_is_left() -> None:
    made = plan(guard=False)
    assert not any(path.startswith("stepaudio_guard") for path in made.files)
    assert "PYTHONPATH" not in made.environment


def test_a_key_given_is_kept_in_a_file_of_ours_and_a_key_file_is_used_as_it_is() -> None:
    own, theirs = plan(api_key="k"), plan(api_key_file="/keys/r1")
    assert own.key_file == "/state/deployments/step-audio-r1/api_key"
    for made, source in ((own, own.key_file), (theirs, "/keys/r1")):
        assert mount_at(made, "/run/stepaudio/api_key") == Mount(source or "", "/run/stepaudio/api_key", read_only=True)
        assert made.environment["STEPAUDIO_GUARD_API_KEY_FILE"] == "/run/stepaudio/api_key"
    assert plan().key_file is None


# ---- GPUs


@pytest.mark.parametrize(
    ("runtimes", "cdi", "podman", "driver"),
    [
        (("nvidia", "runc"), False, False, "nvidia"),
        (("nvidia", "runc"), True, False, "nvidia"),
        (("runc",), True, False, "cdi"),
        (("runc",), False, False, "nvidia"),
        (("runc",), None, False, "nvidia"),
        (("crun",), False, True, "cdi"),
    ],
)
def test_gpus_are_asked_for_in_the_way_that_the_engine_knows(
    runtimes: tuple[str, ...], cdi: bool | None, podman: bool, driver: str
) -> None:
    found = facts(engine=engine(runtimes=runtimes, cdi_nvidia=cdi, is_podman=podman))
    assert plan(found).gpus.driver == driver


def test_without_an_engine_to_look_at_gpus_are_asked_for_in_the_usual_way() -> None:
    assert plan(facts(engine=None)).gpus == GpuRequest("nvidia")


@pytest.mark.parametrize(
    ("gpus", "request_", "devices"),
    [
        ("all", GpuRequest("nvidia"), ("nvidia.com/gpu=all",)),
        ("1", GpuRequest("nvidia", ("1",)), ("nvidia.com/gpu=1",)),
        ("0,1", GpuRequest("nvidia", ("0", "1")), ("nvidia.com/gpu=0", "nvidia.com/gpu=1")),
    ],
)
def test_the_chosen_gpus_are_asked_for(gpus: str, request_: GpuRequest, devices: tuple[str, ...]) -> None:
    assert plan(gpus=gpus).gpus == request_
    assert request_.cdi_devices == devices


def test_no_gpu_is_asked_for_when_none_is_wanted_or_needed() -> None:
    assert plan(gpus="none").gpus.driver == "none"
    assert plan(engine="rehearsal").gpus.driver == "none"


def test_the_model_is_split_over_gpus_chosen_by_id_with_shared_memory_to_match() -> None:
    one, two = plan(), plan(gpus="0,1")
    assert "--tensor-parallel-size" not in one.command
    assert two.command[two.command.index("--tensor-parallel-size") + 1] == "2"
    assert one.container.shm_size_mib == 1024
    assert two.container.shm_size_mib == 8192


def test_only_the_chosen_gpus_count_for_memory() -> None:
    machine = facts(24, 96)
    assert plan(machine, gpus="1").memory.fits is True
    assert plan(machine, gpus="GPU-0001").memory.fits is True
    assert plan(machine, gpus="0").memory.fits is False


# ---- sizes


@pytest.mark.parametrize(("positions", "expected"), [(65536, 16384), (4096, 4096), (0, 16384)])
def test_an_automatic_context_is_the_default_or_what_the_model_has(positions: int, expected: int) -> None:
    from dataclasses import replace

    text = checkpoint().text
    assert text is not None
    found = facts(checkpoint=checkpoint(text=replace(text, max_positions=positions)))
    made = plan(found, max_model_len="auto")
    assert made.command[made.command.index("--max-model-len") + 1] == str(expected)


# ---- container


def test_the_container_is_confined() -> None:
    shape = plan().container
    assert shape.cap_drop == ("ALL",)
    assert shape.security_opt == ("no-new-privileges:true",)
    assert not shape.auto_remove
    assert shape.log_options == {"max-size": "50m", "max-file": "3"}
    assert shape.restart == "unless-stopped"


def test_the_health_check_needs_no_curl_and_waits_for_the_start() -> None:
    check = plan(ready_timeout=300).container.health_check
    assert check is not None
    assert check.test[:3] == ("CMD", "python3", "-c")
    assert "curl" not in " ".join(check.test)
    assert check.start_period == 300
    compile(check.test[3], "probe", "exec")


def test_podman_keeps_its_own_log_driver() -> None:
    assert plan(facts(engine=engine(is_podman=True))).container.log_driver is None


def test_compile_caches_are_kept_in_a_named_volume() -> None:
    made = plan(cache="mine")
    assert mount_at(made, "/root/.cache") == Mount("mine", "/root/.cache", read_only=False, kind="volume")
    assert made.environment["TRITON_CACHE_DIR"].startswith("/root/.cache/")
    assert made.environment["CUDA_CACHE_PATH"].startswith("/root/.cache/")


def test_the_engine_does_not_reach_out() -> None:
    assert plan().environment["HF_HUB_OFFLINE"] == "1"
    assert plan().environment["VLLM_NO_USAGE_STATS"] == "1"


# ---- process


def test_a_process_sees_the_paths_of_this_machine() -> None:
    made = plan(runtime="process", host="0.0.0.0", port=8080, insecure=True)
    words = made.command
    assert made.entrypoint == ("vllm",)
    assert (made.image, made.mounts) == ("", ())
    assert words[1] == "/models/r1"
    assert words[words.index("--port") + 1] == "8080"
    assert words[words.index("--host") + 1] == "0.0.0.0"
    assert words[words.index("--chat-template") + 1] == f"{made.files_source}/chat_template.jinja"
    assert made.environment["PYTHONPATH"] == made.files_source


def test_a_process_rehearsal_runs_on_this_python() -> None:
    assert plan(runtime="process", engine="rehearsal").entrypoint == (sys.executable, "-m", "stepaudio_serve.rehearsal")


@pytest.mark.parametrize(("gpus", "visible"), [("0,1", "0,1"), ("none", ""), ("all", None)])
def test_a_process_sees_the_chosen_gpus(gpus: str, visible: str | None) -> None:
    assert plan(runtime="process", gpus=gpus).environment.get("CUDA_VISIBLE_DEVICES") == visible


def test_the_key_of_a_process_is_read_where_it_lies() -> None:
    assert plan(runtime="process", api_key_file="/keys/r1").environment["STEPAUDIO_GUARD_API_KEY_FILE"] == "/keys/r1"


def test_rehearsal_variables_reach_the_rehearsal_only() -> None:
    found = facts(rehearsal_environment={"STEPAUDIO_REHEARSAL_FAIL": "oom"})
    assert plan(found, engine="rehearsal").environment["STEPAUDIO_REHEARSAL_FAIL"] == "oom"
    assert "STEPAUDIO_REHEARSAL_FAIL" not in plan(found).environment


# ---- labels


def test_a_restart_from_another_folder_finds_the_same_files() -> None:
    found = facts(chat_template_path=Path("/here/mine.jinja"))
    label = json.loads(plan(found, model="./r1", chat_template="mine.jinja").labels[LABEL_PREFIX + "settings"])
    assert label["model"] == "/models/r1"
    assert label["chat_template"] == "/here/mine.jinja"


def test_a_repository_keeps_its_name() -> None:
    found = facts(checkpoint=checkpoint(is_repository=True))
    assert json.loads(plan(found, model="Org/R1").labels[LABEL_PREFIX + "settings"])["model"] == "Org/R1"
