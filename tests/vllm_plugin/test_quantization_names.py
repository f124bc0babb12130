"""What becomes of a checkpoint's quantisation settings before vLLM reads them (test_nvfp4.py has vLLM read them)."""

from __future__ import annotations

from typing import Any

import pytest

from stepaudio_serve.vllm_plugin.quantization import named_as_here


def settings(**more: Any) -> dict[str, Any]:
    return {"quant_method": "compressed-tensors", **more}


def test_names_and_kinds_of_modules_stay() -> None:
    told = settings(ignore=["lm_head", "encoder.conv1"], config_groups={"group_0": {"targets": ["Linear"]}})
    assert named_as_here(told) == told


def test_regular_expressions_are_rewritten_in_the_ignore_list_and_in_the_groups() -> None:
    told = settings(ignore=["re:model.*"], config_groups={"group_0": {"targets": ["re:model.*"], "weights": None}})
    here = named_as_here(told)
    (ignored,), group = here["ignore"], here["config_groups"]["group_0"]
    assert ignored == group["targets"][0] != "re:model.*"
    assert group["weights"] is None
    assert told["ignore"] == ["re:model.*"]


@pytest.mark.parametrize(
    "odd",
    [
        {"quant_method": "fp8", "ignore": ["re:model.*"]},
        settings(ignore="re:model.*"),
        settings(ignore=None),
        settings(ignore=[1, None]),
        settings(config_groups=[]),
        settings(config_groups={"group_0": {}}),
        settings(config_groups={"group_0": "Linear"}),
        settings(config_groups={"group_0": {"targets": "Linear"}}),
        {},
    ],
    ids=str,
)
def test_what_is_not_shaped_like_such_settings_is_left_for_vllm_to_judge(odd: dict[str, Any]) -> None:
    assert named_as_here(odd) == odd
