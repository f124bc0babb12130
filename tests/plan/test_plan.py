"""The plan as a value: JSON, hash, labels."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.facts import facts

from stepaudio_serve.plan.build import make_plan
from stepaudio_serve.plan.labels import LABEL_PREFIX
from stepaudio_serve.plan.plan import GpuRequest, Note, Plan
from stepaudio_serve.settings.options import Settings


def plan(**settings: Any) -> Plan:
    return make_plan(Settings(**settings), facts(31.36))


def test_the_keys_that_others_read_are_there() -> None:
    document = json.loads(json.dumps(plan().to_json()))
    assert document.keys() >= {
        "image", "entrypoint", "command", "mounts", "environment", "ports", "gpus", "labels", "memory", "notes",
    }  # fmt: skip
    assert all(mount.keys() >= {"source", "target", "read_only"} for mount in document["mounts"])
    assert document["ports"] == [{"host_ip": "127.0.0.1", "host_port": 9999, "container_port": 9999}]
    assert document["memory"].keys() == {
        "fits", "weights_gib", "kv_cache_gib", "kv_bytes_per_token", "kv_tokens", "concurrency", "audio_seconds",
        "max_num_batched_tokens", "unknown", "budget_gib", "activation_gib", "encoder_gib", "outside_gib", "needed_gib",
        "tensor_parallel_size", "max_model_len", "nearest",
    }  # fmt: skip
    assert all(note.keys() == {"id", "what", "why"} for note in document["notes"])


def test_the_plan_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        plan().name = "other"  # type: ignore[misc]


@given(
    port=st.integers(1, 65535),
    gpus=st.sampled_from(["all", "none", "0", "0,1"]),
    guard=st.booleans(),
    runtime=st.sampled_from(["docker", "process"]),
    engine=st.sampled_from(["vllm", "rehearsal"]),
    recipe=st.sampled_from(["stepaudio-serve", "model-card"]),
    max_model_len=st.integers(1, 10**12) | st.just("auto"),
    ready_timeout=st.floats(0.001, 604800),
)
def test_the_same_inputs_make_the_same_plan_and_it_survives_json(**settings: Any) -> None:
    once, again = plan(**settings), plan(**settings)
    assert once == again
    assert json.dumps(once.to_json()) == json.dumps(again.to_json())
    assert json.loads(once.labels[LABEL_PREFIX + "plan"]) == json.loads(json.dumps(once.identity()))


@pytest.mark.parametrize(
    "changes",
    [
        {"image": "other"},
        {"entrypoint": ("other",)},
        {"command": ("serve",)},
        {"mounts": ()},
        {"environment": {"A": "1"}},
        {"ports": ()},
        {"gpus": GpuRequest("none")},
        {"files": {"chat_template.jinja": "other"}},
        {"key_file": "/key"},
        {"name": "other"},
        {"stop_grace": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_hash_changes_with_anything_that_is_started(changes: dict[str, Any]) -> None:
    assert replace(plan(), **changes).hash != plan().hash


def test_the_hash_does_not_change_with_what_is_only_said() -> None:
    aside = replace(plan(), notes=(Note("x", "x", "x"),), labels={}, memory=replace(plan().memory, kv_tokens=1))
    assert aside.hash == plan().hash


def test_a_longer_wait_for_the_start_is_no_other_plan() -> None:
    assert plan(ready_timeout=3600).hash == plan(ready_timeout=60).hash


def test_labels_find_and_restart_a_deployment() -> None:
    labels = {key.removeprefix(LABEL_PREFIX): value for key, value in plan(port=1234, name="mine").labels.items()}
    assert labels["deployment"] == "mine"
    assert labels["endpoint"] == "http://127.0.0.1:1234"
    assert labels["plan-hash"] == plan(port=1234, name="mine").hash
    assert Settings.model_validate(json.loads(labels["settings"])) == Settings(port=1234, name="mine")


def test_a_key_is_nowhere_in_the_plan() -> None:
    made = plan(api_key="k-very-secret")
    assert "k-very-secret" not in repr(made)
    assert "k-very-secret" not in json.dumps(made.to_json())
