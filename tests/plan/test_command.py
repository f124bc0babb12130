"""The engine's argument list follows the settings."""

from __future__ import annotations

from typing import Any

import pytest

from stepaudio_serve.plan.command import Paths, serve_arguments
from stepaudio_serve.plan.memory import MemoryBudget
from stepaudio_serve.plan.sizing import Sizes
from stepaudio_serve.settings.options import Settings


def arguments(host: str | None = None, *, split: int = 1, step: int | None = None, **settings: Any) -> tuple[str, ...]:
    sizes = Sizes(tensor_parallel_size=split, max_model_len=16384, max_num_batched_tokens=step, memory=MemoryBudget())
    return serve_arguments(Settings(**settings), Paths("/ckpt", "/files"), port=9999, host=host, sizes=sizes)


def value(words: tuple[str, ...], flag: str) -> str:
    assert words.count(flag) == 1
    return words[words.index(flag) + 1]


def test_the_defaults() -> None:
    assert arguments() == (
        *("serve", "/ckpt"),
        *("--served-model-name", "Step-Audio-R1"),
        *("--port", "9999"),
        *("--max-model-len", "16384"),
        *("--max-num-seqs", "32"),
        *("--gpu-memory-utilization", "0.9"),
        *("--chat-template", "/files/chat_template.jinja"),
        *("--generation-config", "/files/generation_config"),
        *("--interleave-mm-strings", "--trust-remote-code"),
        *("--middleware", "stepaudio_guard.Guard"),
    )


@pytest.mark.parametrize(
    ("settings", "flag", "expected"),
    [
        ({"served_model_name": "r1"}, "--served-model-name", "r1"),
        ({"max_num_seqs": 4}, "--max-num-seqs", "4"),
        ({"step": 1024}, "--max-num-batched-tokens", "1024"),
        ({"gpu_memory_utilization": 0.85}, "--gpu-memory-utilization", "0.85"),
        ({"split": 2}, "--tensor-parallel-size", "2"),
        ({"host": "::1"}, "--host", "::1"),
    ],
)
def test_a_setting_becomes_its_flag(settings: dict[str, Any], flag: str, expected: str) -> None:
    assert value(arguments(**settings), flag) == expected
    assert flag not in arguments() or value(arguments(), flag) != expected


@pytest.mark.parametrize(
    ("settings", "flag"),
    [({"guard": False}, "--middleware"), ({"trust_remote_code": "off"}, "--trust-remote-code")],
)
def test_a_switch_that_is_off_leaves_its_flag_out(settings: dict[str, Any], flag: str) -> None:
    assert flag in arguments()
    assert flag not in arguments(**settings)


def test_requests_are_logged_only_when_asked_for() -> None:
    assert "--enable-log-requests" not in arguments()
    assert "--enable-log-requests" in arguments(log_requests=True)


def test_the_key_is_no_argument() -> None:
    assert "k-1234" not in " ".join(arguments(api_key="k-1234"))


def test_the_guard_comes_after_middleware_of_the_users_own_so_that_it_is_outermost() -> None:
    words = arguments(engine_args=("--middleware", "mine.A"))
    assert words[-4:] == ("--middleware", "mine.A", "--middleware", "stepaudio_guard.Guard")


def test_engine_arguments_come_last_where_there_is_no_guard() -> None:
    assert arguments(engine_args=("--seed", "1"), guard=False)[-2:] == ("--seed", "1")


# ---- a current vLLM


def test_upstream_has_flags_of_its_own_and_needs_no_code_of_the_checkpoint() -> None:
    ours = arguments()
    upstream = arguments(engine_image="upstream")
    assert set(upstream) - set(ours) == {"--shutdown-timeout", "55"}
    assert set(ours) - set(upstream) == {"--trust-remote-code"}


@pytest.mark.parametrize(("grace", "drain"), [(600, 595), (60, 55), (10, 5), (9, 4), (3, 1), (2, 1)])
def test_answers_in_flight_have_most_of_the_grace(grace: int, drain: int) -> None:
    assert value(arguments(engine_image="upstream", stop_grace=grace), "--shutdown-timeout") == str(drain)
    assert drain < grace


@pytest.mark.parametrize("grace", [0, 1])
def test_without_a_grace_nothing_is_waited_for(grace: int) -> None:
    assert "--shutdown-timeout" not in arguments(engine_image="upstream", stop_grace=grace)


@pytest.mark.parametrize("given", [("--shutdown-timeout", "7"), ("--shutdown_timeout=7",)])
def test_a_time_of_the_users_own_stands_alone(given: tuple[str, ...]) -> None:
    words = arguments(engine_image="upstream", engine_args=given)
    assert sum(word.replace("_", "-").startswith("--shutdown-timeout") for word in words) == 1


def test_the_rehearsal_keeps_the_flags_of_the_default_image() -> None:
    assert arguments(engine="rehearsal", engine_image="upstream") == arguments()
