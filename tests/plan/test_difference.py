"""In which fields two plans differ."""

from __future__ import annotations

from typing import Any

from support.facts import facts

from stepaudio_serve.plan.build import make_plan
from stepaudio_serve.plan.difference import Difference, differences
from stepaudio_serve.settings.options import Settings


def between(before: dict[str, Any], after: dict[str, Any]) -> tuple[Difference, ...]:
    old, new = (make_plan(Settings(**settings), facts()).identity() for settings in (before, after))
    return differences(old, new)


def test_the_same_settings_make_no_difference() -> None:
    assert between({"port": 1}, {"port": 1}) == ()


def test_a_flag_is_named_with_both_values() -> None:
    assert between({}, {"max_num_seqs": 4}) == (("--max-num-seqs", "32", "4"),)


def test_a_flag_that_comes_or_goes_has_no_value_on_one_side() -> None:
    assert between({}, {"log_requests": True}) == (("--enable-log-requests", None, ""),)
    assert between({"log_requests": True}, {}) == (("--enable-log-requests", "", None),)


def test_a_flag_given_twice_differs_by_either_of_its_values() -> None:
    two = [{"guard": False, "engine_args": ("--middleware", one, "--middleware", "mine.B")} for one in ("x.A", "y.A")]
    assert between(*two) == (("--middleware", "x.A mine.B", "y.A mine.B"),)


def test_nested_fields_are_named_by_their_path() -> None:
    changed = {field: (old, new) for field, old, new in between({}, {"host": "0.0.0.0", "insecure": True})}
    assert changed["ports.host_ip"] == ("127.0.0.1", "0.0.0.0")


def test_a_mount_is_named_by_where_it_appears() -> None:
    assert between({}, {"cache": "other"}) == (("mount /root/.cache", "stepaudio-serve-cache", "other"),)


def test_a_file_is_named_and_its_folder_is_not() -> None:
    old = make_plan(Settings(), facts()).identity()
    new = make_plan(Settings(), facts(chat_template="other")).identity()
    assert [field for field, _, _ in differences(old, new)] == ["file chat_template.jinja"]


def test_every_change_of_hash_has_a_difference_to_show() -> None:
    changes: list[dict[str, Any]] = [
        {"port": 1}, {"gpus": "0,1"}, {"guard": False}, {"stop_grace": 1}, {"restart": "no"}, {"image": "other"},
        {"engine_args": ("--seed", "1")}, {"api_key": "k"}, {"trust_remote_code": "off"},
    ]  # fmt: skip
    base = make_plan(Settings(), facts())
    for change in changes:
        plan = make_plan(Settings(**change), facts())
        assert plan.hash != base.hash
        assert differences(base.identity(), plan.identity())
