"""`plan` as a command: for this machine or another, what it says of memory, and when it exits with 3."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.facts import FACTS, checkpoint, machine_file

from stepaudio_serve.cli.memory import show_memory
from stepaudio_serve.facts.checkpoint import TextShape
from stepaudio_serve.plan.build import make_plan
from stepaudio_serve.settings.options import Settings

if TYPE_CHECKING:
    from support.cli import Cli

NO_DOCKER = {"DOCKER_HOST": "unix:///nonexistent"}


def test_another_machine_is_planned_for_with_its_profiles_settings(run_cli: Cli) -> None:
    done = run_cli("plan", "--for", "rtx-5090")
    assert done.code == 0
    assert "planned for rtx-5090 (one GeForce RTX 5090), not this machine" in done.stdout
    for part in ("budget, the GPU", "- weights", "- audio encoder", "= KV cache", "full contexts at once"):
        assert part in done.stdout
    assert "--max-num-seqs 4" in done.stdout
    assert "shape and size of Firworks/Step-Audio-R1-nvfp4 are the published ones" in done.stdout


def test_the_document_has_the_same(run_cli: Cli) -> None:
    document = run_cli("plan", "--for", "rtx-pro-6000", "--json").json
    assert document["machine"] == "rtx-pro-6000"
    assert document["measured"] is None
    assert document["memory"]["fits"] is True
    assert 11.7 <= document["memory"]["concurrency"] <= 14.3
    assert "published-figures" in {note["id"] for note in document["notes"]}
    assert all(finding.keys() >= {"id", "group", "level", "what", "why", "fix"} for finding in document["findings"])


def test_the_measured_deployment_is_met(run_cli: Cli) -> None:
    memory = run_cli("plan", "--for", "l40s-x4", "--json").json["memory"]
    assert memory["concurrency"] == pytest.approx(4.76, rel=0.1)
    assert (memory["tensor_parallel_size"], memory["max_model_len"]) == (4, 65536)


def test_a_dgx_spark_is_planned_for_with_the_upstream_image_and_what_nobody_has_tried_is_said(run_cli: Cli) -> None:
    done = run_cli("plan", "--for", "dgx-spark")
    assert done.code == 0
    assert "--entrypoint vllm vllm/vllm-openai:v0.32.0" in done.stdout
    assert "= KV cache" in done.stdout
    assert "dgx-spark: nothing has been run on one yet" in done.stderr
    levels = {found["level"] for found in run_cli("plan", "--for", "dgx-spark", "--json").json["findings"]}
    assert levels <= {"ok", "note"}


def test_a_machine_where_the_chosen_image_cannot_work_is_exit_3_with_the_one_that_can(run_cli: Cli) -> None:
    done = run_cli("plan", "--for", "dgx-spark", "--engine-image", "stepfun")
    assert done.code == 3
    assert "does not exist for linux/arm64" in done.stderr
    assert "--engine-image upstream" in done.stderr


def test_an_image_of_ones_own_lifts_what_the_known_one_was_refused_for(run_cli: Cli) -> None:
    done = run_cli("plan", "--for", "dgx-spark", "--engine-image", "stepfun", "--image", "me/own:1")
    assert done.code == 0


def test_what_does_not_fit_is_exit_3_with_needed_usable_and_a_fix(run_cli: Cli) -> None:
    done = run_cli("plan", "--facts", machine_file("rtx-4090"))
    assert done.code == 3
    assert "the model does not fit this GPU" in done.stderr
    assert "GiB on each GPU" in done.stderr
    assert "stepaudio-serve plan --for rtx-5090" in done.stderr


def test_what_is_suggested_can_be_typed(run_cli: Cli) -> None:
    far = run_cli("plan", "--for", "rtx-5090", "--max-model-len", "40000", "--json")
    assert far.code == 3
    nearest = far.json["memory"]["nearest"]
    assert nearest
    near = run_cli("plan", "--for", "rtx-5090", "--max-model-len", "40000", *nearest, "--json")
    assert near.code == 0
    assert near.json["memory"]["fits"] is True


def test_what_is_only_missing_for_now_is_no_exit_3(run_cli: Cli) -> None:
    done = run_cli("plan", env=NO_DOCKER)
    assert done.code == 0
    assert "is not on this disk" in done.stderr


def test_a_checkpoint_that_is_not_here_is_a_note_for_another_machine(run_cli: Cli) -> None:
    def missing(*words: str) -> str:
        found = run_cli("plan", *words, "--json", env=NO_DOCKER).json["findings"]
        return next(finding["level"] for finding in found if finding["id"] == "checkpoint-missing")

    assert missing() == "blocker"
    assert missing("--for", "rtx-5090") == "note"
    assert "is not on this disk" in run_cli("plan", "--for", "rtx-5090").stderr


def test_more_gpus_than_there_are_is_exit_3_and_nothing_is_counted_on_them(run_cli: Cli) -> None:
    done = run_cli("plan", "--facts", machine_file("rtx-5090"), "--tensor-parallel-size", "2")
    assert done.code == 3
    assert "it is split over 2 GPUs, and 1 will be there" in done.stdout
    assert "audio in one request         not known" in done.stdout


def test_without_a_gpu_no_figure_is_said_to_be_a_gpus(run_cli: Cli) -> None:
    shown = run_cli("plan", "--facts", machine_file("rtx-5090"), "--gpus", "none").stdout
    assert "no GPU was asked for" in shown
    assert "  weights   " in shown
    assert "the GPU " not in shown


def test_a_tiny_model_s_tokens_do_not_take_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    tiny = checkpoint(text=TextShape(layers=2, kv_heads=1, head_dim=16, heads=2, max_positions=2048))
    show_memory(make_plan(Settings(gpus="none"), replace(FACTS, checkpoint=tiny)), None)
    assert "128 bytes each" in capsys.readouterr().out


def test_what_does_not_fit_promises_no_audio(run_cli: Cli) -> None:
    shown = run_cli("plan", "--facts", machine_file("rtx-4090")).stdout
    assert "audio in one request         none: a full context does not fit" in shown


def test_for_another_machine_no_container_engine_is_asked(run_cli: Cli) -> None:
    assert "planned without a container engine" in run_cli("plan", env=NO_DOCKER).stderr
    assert "container engine" not in run_cli("plan", "--for", "rtx-5090", env=NO_DOCKER).stderr


def test_the_profile_made_for_a_machine_is_suggested_not_applied(run_cli: Cli) -> None:
    done = run_cli("plan", "--facts", machine_file("rtx-5090"))
    assert "--profile rtx-5090" in done.stderr
    assert "--max-num-seqs 32" in done.stdout
    assert "--profile rtx-5090" not in run_cli("plan", "--for", "rtx-5090").stderr


@pytest.mark.parametrize("other", [("--profile", "h100"), ("--facts", "machine.json")])
def test_one_machine_at_a_time(other: tuple[str, str], run_cli: Cli) -> None:
    done = run_cli("plan", "--for", "rtx-5090", *other)
    assert done.code == 2
    assert f"--for rtx-5090 does not go with {other[0]}" in done.stderr
    assert done.stdout == ""


def test_a_profile_for_no_machine_in_particular_says_so(run_cli: Cli) -> None:
    done = run_cli("plan", "--for", "model-card")
    assert done.code == 2
    assert "stepaudio-serve plan --profile model-card" in done.stderr


@pytest.mark.parametrize("content", [None, "{", "[]", json.dumps({"gpus": [{"memory": 1}]})])
def test_a_file_without_facts_is_a_usage_error(content: str | None, run_cli: Cli) -> None:
    if content is not None:
        (run_cli.folder / "machine.json").write_text(content)
    done = run_cli("plan", "--facts", "machine.json")
    assert done.code == 2
    assert "machine.json" in done.stderr
    assert "Traceback" not in done.stderr
