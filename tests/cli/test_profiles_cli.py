"""`profiles list` and `profiles show`: what they say of each machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stepaudio_serve.settings.profiles import load_profile, profile_names

if TYPE_CHECKING:
    from support.cli import Cli


def row_of(name: str, run_cli: Cli) -> str:
    """The line of the list that is about this profile."""
    lines = run_cli("profiles", "list", env={"COLUMNS": "80"}).stdout.splitlines()
    return next(line for line in lines if line.startswith(f"{name} "))


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("rtx-5090", "1 x 16,384 tokens"),
        ("rtx-pro-6000", "13 x 16,384 tokens"),
        ("h100", "10 x 16,384 tokens"),
        ("l40s-x4", "4 x 65,536 tokens"),
        ("model-card", "-"),
        ("dgx-spark", "14 x 16,384 tokens"),
    ],
)
def test_the_list_says_what_each_machine_is_and_holds(name: str, holds: str, run_cli: Cli) -> None:
    row = row_of(name, run_cli)
    assert load_profile(name).summary in row
    assert row.endswith(f" {holds}")


def test_the_table_fits_80_columns(run_cli: Cli) -> None:
    header, *rows = run_cli("profiles", "list").stdout.splitlines()[: 1 + len(profile_names())]
    assert header.split() == ["PROFILE", "FOR", "HOLDS,", "ESTIMATED"]
    assert all(len(row) <= 80 for row in (header, *rows))


def test_below_the_table_stands_where_nothing_has_been_run(run_cli: Cli) -> None:
    done = run_cli("profiles", "list")
    assert done.code == 0
    assert f"dgx-spark: {load_profile('dgx-spark').caveat}" in done.stdout.splitlines()[-1]


def test_json_has_machine_caveat_and_what_it_holds(run_cli: Cli) -> None:
    listed = {item["name"]: item for item in run_cli("profiles", "list", "--json").json["profiles"]}
    card, spark = listed["rtx-5090"], listed["dgx-spark"]
    assert card["machine"]["gpus"][0]["name"] == "NVIDIA GeForce RTX 5090"
    assert (card["refused"], spark["refused"]) == (None, None)
    assert card["caveat"] is None
    assert card["holds"] == {"fits": True, "kv_tokens": 23040, "max_model_len": 16384, "concurrency": 1.41}
    assert "arm64" in spark["caveat"]
    assert spark["holds"]["fits"] is True
    assert (listed["model-card"]["machine"], listed["model-card"]["holds"]) == (None, None)


def test_show_has_the_settings_beside_that(run_cli: Cli) -> None:
    shown = run_cli("profiles", "show", "l40s-x4", "--json").json
    assert shown["settings"]["tensor_parallel_size"] == 4
    assert len(shown["machine"]["gpus"]) == 4
    assert shown["holds"]["fits"]


@pytest.mark.parametrize("name", profile_names())
def test_show_prints_the_file_as_it_is_written(name: str, run_cli: Cli) -> None:
    assert run_cli("profiles", "show", name).stdout == load_profile(name).text


@pytest.mark.parametrize("name", [name for name in profile_names() if load_profile(name).machine])
def test_the_list_agrees_with_the_plan_for_that_machine(name: str, run_cli: Cli) -> None:
    planned = run_cli("plan", "--for", name, "--json").json["memory"]
    holds = run_cli("profiles", "show", name, "--json").json["holds"]
    assert holds == {key: planned[key] for key in holds}
