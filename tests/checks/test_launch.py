"""What is said before a start: every blocker, each with a fix."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.facts import checkpoint, engine, facts

from stepaudio_serve.checks.launch import check_key_file, check_launch, check_platform_of, check_port
from stepaudio_serve.facts.engine import ImageFacts
from stepaudio_serve.facts.host import PortHolder
from stepaudio_serve.plan.build import make_plan
from stepaudio_serve.settings.options import Settings
from stepaudio_serve.settings.sources import resolve

if TYPE_CHECKING:
    from stepaudio_serve.facts.gather import Facts
    from stepaudio_serve.finding import Finding

R1 = facts(31.36)
ABSENT = checkpoint(
    requested="Org/R1", path=Path("/data/models/R1"), exists=False, is_repository=True, problem="is not on this disk"
)
QWEN = checkpoint(architectures=("Qwen2AudioForConditionalGeneration",))


def findings(settings: Settings, found: Facts) -> tuple[Finding, ...]:
    return check_launch(settings, found, make_plan(settings, found))


def levels(found: Facts = R1, **settings: Any) -> dict[str, str]:
    return {finding.id: finding.level for finding in findings(Settings(**settings), found)}


def blocker(found: Facts = R1, **settings: Any) -> Finding:
    """The one blocker; it has a reason and something to type."""
    (one,) = [finding for finding in findings(Settings(**settings), found) if finding.level == "blocker"]
    assert one.what
    assert one.why
    assert one.fix
    return one


def test_r1_on_one_card_that_holds_it_raises_nothing() -> None:
    assert findings(Settings(), R1) == ()


# ---- checkpoint


def test_a_repository_that_is_not_on_disk_is_refused_with_the_download() -> None:
    finding = blocker(facts(checkpoint=ABSENT))
    assert finding.id == "checkpoint-missing"
    assert finding.fix == "hf download Org/R1 --local-dir /data/models/R1"
    assert "/data/models" in finding.why
    assert "/hub" in finding.why


def test_a_broken_folder_is_refused() -> None:
    finding = blocker(facts(checkpoint=checkpoint(problem="has no config.json")))
    assert finding.id == "checkpoint-broken"
    assert "/models/r1 has no config.json" in finding.what


def test_a_broken_repository_is_to_be_fetched_again_itself_and_nothing_into_a_folder_of_the_users() -> None:
    broken = checkpoint(
        requested="Org/R1", path=Path("/data/it's/R1"), is_repository=True, problem="has no config.json"
    )
    fix = blocker(facts(checkpoint=broken), revision="v2").fix
    assert shlex.split(fix) == [*("hf", "download", "Org/R1", "--revision", "v2"), *("--local-dir", "/data/it's/R1")]
    cached = replace(broken, inside="snapshots/abc")
    assert blocker(facts(checkpoint=cached)).fix == "hf download Org/R1"
    assert "download" not in blocker(facts(checkpoint=checkpoint(problem="is a file, not a folder"))).fix


def test_a_revision_of_a_folder_is_said_to_choose_nothing() -> None:
    assert levels(revision="v2") == {"revision": "warning"}
    snapshot = checkpoint(is_repository=True, inside="snapshots/abc")
    assert levels(facts(31.36, checkpoint=snapshot), revision="v2") == {}


def test_a_template_of_the_users_that_the_engine_cannot_use_is_refused() -> None:
    found = facts(31.36, chat_template="{% for %}")
    assert blocker(found, chat_template="mine.jinja").id == "template-parses"
    assert levels(found) == {}


def test_a_rehearsal_needs_no_checkpoint() -> None:
    assert levels(facts(checkpoint=ABSENT), engine="rehearsal") == {}


def test_a_model_that_the_default_image_does_not_serve_is_refused_with_it_and_warned_of_with_another() -> None:
    assert blocker(facts(checkpoint=QWEN)).id == "architecture"
    assert levels(facts(checkpoint=QWEN), image="mine:1") == {"architecture": "warning"}
    assert levels(facts(checkpoint=QWEN), runtime="process") == {"architecture": "warning"}


def test_stock_vllm_does_not_serve_r1() -> None:
    assert blocker(engine_image="upstream").id == "architecture"


# ---- address


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_an_address_beyond_this_machine_needs_a_key(host: str) -> None:
    assert blocker(host=host).id == "open-to-neighbours"
    assert levels(host=host, api_key="k") == {"open-to-neighbours": "warning"}
    assert levels(host=host, api_key_file="/key") == {"open-to-neighbours": "warning"}
    assert levels(host=host, insecure=True) == {"open-to-neighbours": "warning"}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_loopback_needs_none(host: str) -> None:
    assert levels(host=host) == {}


def test_the_model_cards_command_is_open_whatever_its_settings_say() -> None:
    settings = resolve(profile="model-card").settings.model_copy(update={"host": "127.0.0.1"})
    found = {item.id: item for item in findings(settings, R1)}
    assert {item.id: item.level for item in found.values()} == dict.fromkeys(
        ("model-card", "open-to-neighbours"), "blocker"
    )
    assert "127.0.0.1" not in found["open-to-neighbours"].what


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
    settings = resolve(profile="model-card").settings.model_copy(update={"insecure": True})
    assert "model-card" not in {item.id for item in findings(settings, R1)}
    (refused,) = [item for item in findings(settings.model_copy(update=changes), R1) if item.id == "model-card"]
    assert refused.level == "blocker"
    assert all(name in refused.what for name in changes)


def test_a_key_that_nobody_would_ask_for_is_refused() -> None:
    assert blocker(api_key="k", guard=False).id == "key-without-guard"


def test_an_engine_on_another_machine_is_refused() -> None:
    finding = blocker(facts(engine=engine(is_remote=True, url="ssh://box")))
    assert finding.id == "remote-engine"
    assert "ssh://box" in finding.what


# ---- image


def test_an_image_that_does_not_exist_for_the_processor_is_refused() -> None:
    finding = blocker(facts(architecture="arm64"))
    assert finding.id == "platform"
    assert "linux/arm64" in finding.what
    assert levels(facts(architecture="arm64"), image="mine:1").get("platform") is None
    assert levels(facts(architecture="arm64"), engine="rehearsal") == {}


def test_a_present_image_for_another_processor_is_refused() -> None:
    (finding,) = check_platform_of(ImageFacts("sha256:1", "amd64", ()), "mine:1", "arm64")
    assert finding.level == "blocker"
    assert "exec format error" in finding.why
    assert check_platform_of(ImageFacts("sha256:1", "arm64", ()), "mine:1", "arm64") == ()


# ---- GPUs and memory


def test_a_gpu_that_is_not_there_is_refused() -> None:
    finding = blocker(facts(31.36), gpus="1")
    assert finding.id == "gpu-missing"
    assert "no GPU 1" in finding.what
    assert "0 (card 0)" in finding.why
    assert blocker(gpus="GPU-9999").id == "gpu-missing"
    assert levels(gpus="GPU-0000") == {}


def test_where_no_gpu_can_be_seen_none_is_missed() -> None:
    assert levels(facts(), gpus="7") == {}


def test_a_split_over_more_gpus_than_will_be_there_is_refused() -> None:
    assert blocker(facts(31, 31), tensor_parallel_size=3).id == "too-few-gpus"
    assert blocker(facts(96, 96), gpus="1", tensor_parallel_size=2).fix == "--tensor-parallel-size 1"
    assert levels(facts(31, 31), tensor_parallel_size=2) == {}


def test_what_does_not_fit_is_refused_with_the_nearest_that_does() -> None:
    finding = blocker(max_model_len=32768)
    assert finding.id == "memory"
    fitting = int(finding.fix.removeprefix("--max-model-len "))
    assert 16384 < fitting < 20000
    assert levels(max_model_len=fitting) == {}


def test_a_card_that_cannot_hold_the_weights_is_told_so() -> None:
    assert "more memory" in blocker(facts(24.0)).fix


# ---- code


def test_pinned_code_is_not_there_yet() -> None:
    assert blocker(trust_remote_code="pinned").id == "trust-remote-code"


def test_code_that_may_not_run_is_warned_of_when_there_is_some() -> None:
    assert levels(trust_remote_code="off") == {"trust-remote-code": "warning"}
    assert levels(facts(checkpoint=checkpoint(has_remote_code=False)), trust_remote_code="off") == {}


# ---- port and key file


@pytest.mark.parametrize(
    ("holder", "container", "who"),
    [
        (PortHolder("127.0.0.1", 9999, "nginx", 7), None, "the process nginx (pid 7)"),
        (PortHolder("127.0.0.1", 9999, "docker-proxy", 7), "web", "the container `web`"),
        (PortHolder("127.0.0.1", 9999, "", None), None, "another process"),
    ],
)
def test_a_held_port_is_refused_naming_the_holder(holder: PortHolder, container: str | None, who: str) -> None:
    (finding,) = check_port(holder, container, 10000)
    assert finding.level == "blocker"
    assert who in finding.what
    assert finding.fix == "--port 10000"


def test_a_free_port_raises_nothing() -> None:
    assert check_port(None, None, None) == ()


def test_a_key_file_that_cannot_be_used_is_refused_with_how_to_make_one() -> None:
    (finding,) = check_key_file("/my keys/r1", "[Errno 2] No such file or directory")
    assert finding.level == "blocker"
    assert finding.fix.endswith("> '/my keys/r1')")
    assert check_key_file("/keys/r1", "") == ()


def test_no_fix_writes_a_key_into_a_file_that_is_there() -> None:
    (finding,) = check_key_file("/home/me/README.md", "line 1 is not a key")
    assert "README.md" not in finding.fix


def test_several_blockers_are_all_found() -> None:
    settings = Settings(host="0.0.0.0", trust_remote_code="pinned")
    found = replace(R1, checkpoint=ABSENT)
    assert {item.id for item in findings(settings, found)} >= {
        "open-to-neighbours", "trust-remote-code", "checkpoint-missing",
    }  # fmt: skip
