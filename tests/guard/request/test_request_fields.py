from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from stepaudio_serve.guard.config import Limits
from stepaudio_serve.guard.refusal import Refusal, RefusedError
from stepaudio_serve.guard.request.fields import (
    RULES_FILE,
    TYPES,
    Field,
    check_fields,
    check_value,
    message_rules,
    read_rules,
    route_rules,
)

CHAT, COMPLETIONS, TOKENIZE = "/v1/chat/completions", "/v1/completions", "/tokenize"
RULES = json.loads(RULES_FILE.read_text(encoding="utf-8"))
WRONG: dict[str, list[Any]] = {
    "string": [1, True, ["a"], {}],
    "strings": [[1], "a", [["a"]], {}],
    "integer": [1.5, "1", True, [1], {}],
    "integers": [[1.5], ["1"], [True], 1, {}],
    "number": ["0.5", True, [1], {}],
    "boolean": [0, 1, "true", [], {}],
    "list": ["a", 1, True, {}],
    "object": ["a", 1, True, []],
}


def check(value: dict[str, Any], path: str = CHAT, limits: Limits | None = None) -> dict[str, Any]:
    return check_fields(value, route_rules(path), limits or Limits())


def refused(value: dict[str, Any], path: str = CHAT) -> Refusal:
    with pytest.raises(RefusedError) as caught:
        check(value, path)
    assert caught.value.refusal.status == 400
    return caught.value.refusal


class TestTheFile:
    @pytest.mark.parametrize("path", [CHAT, COMPLETIONS, TOKENIZE, "message"])
    def test_every_route_has_its_rules(self, path: str) -> None:
        rules = message_rules() if path == "message" else route_rules(path)
        assert rules.fields
        assert not set(rules.fields) & set(rules.dropped)
        for name, field in rules.fields.items():
            assert set(field.type.split(" or ")) <= set(TYPES), name
            for bound in (field.maximum, field.max_items):
                assert not isinstance(bound, str) or isinstance(getattr(Limits(), bound), int), name

    def test_every_number_list_and_string_outside_the_prompt_is_bounded(self) -> None:
        free = {"content", "prompt"}
        for path in (CHAT, COMPLETIONS, TOKENIZE):
            for name, field in route_rules(path).fields.items():
                if name in free:
                    continue
                if {"integer", "number", "integers"} & set(field.type.split(" or ")):
                    assert field.maximum is not None, name
                    assert field.minimum is not None or field.above is not None, name
                if {"strings", "integers", "list"} & set(field.type.split(" or ")):
                    assert field.max_items is not None, name
                if {"string", "strings"} & set(field.type.split(" or ")):
                    assert field.max_length is not None, name

    def test_every_reason_is_said(self) -> None:
        for why in (*RULES["dropped"].values(), *(entry["why"] for entry in RULES["refused"].values())):
            assert len(why) > 10
            assert not why.endswith(".")

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda data: data["groups"]["sampling"].update(new={"type": "colour"}),
            lambda data: data["groups"]["sampling"].update(new={"type": "number", "colour": 1}),
            lambda data: data["groups"]["sampling"].update(new={}),
            lambda data: data["routes"][CHAT]["groups"].append("none"),
            lambda data: data["refused"].update(new={}),
            lambda data: data.pop("message"),
        ],
    )
    def test_another_shape_is_noticed(self, spoil: Any) -> None:
        data = copy.deepcopy(RULES)
        spoil(data)
        with pytest.raises((KeyError, TypeError, ValueError)):
            read_rules(data)


class TestTypes:
    @pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in WRONG.items() for value in values])
    def test_a_wrong_one_is_refused_in_words(self, kind: str, value: Any) -> None:
        with pytest.raises(RefusedError, match=f"x must be {TYPES[kind]}, not ") as caught:
            check_value(value, Field(kind), "x", Limits())
        assert caught.value.refusal.code == "invalid_type"
        assert caught.value.refusal.param == "x"

    def test_a_whole_number_may_be_written_with_a_point(self) -> None:
        assert check({"max_tokens": 10.0, "stop_token_ids": [1.0]}) == {"max_tokens": 10, "stop_token_ids": [1]}
        assert isinstance(check({"max_tokens": 10.0})["max_tokens"], int)

    def test_one_of_two_types_is_enough(self) -> None:
        assert check({"stop": "a"}) == {"stop": "a"}
        assert check({"stop": ["a"]}) == {"stop": ["a"]}
        assert refused({"stop": 1}).message == "stop must be a string or a list of strings, not a number."

    @pytest.mark.parametrize("name", route_rules(CHAT).fields)
    def test_null_means_not_there(self, name: str) -> None:
        assert check({name: None}) == {}


class TestBounds:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("temperature", -0.1),
            ("temperature", 2.1),
            ("top_p", 0),
            ("top_p", 1.1),
            ("top_k", -2),
            ("min_p", 1.1),
            ("presence_penalty", -2.1),
            ("frequency_penalty", 2.1),
            ("repetition_penalty", 0),
            ("seed", 2**63),
            ("n", 0),
            ("n", 5),
            ("stop", ""),
            ("stop", ["a"] * 17),
            ("stop", ["a" * 257]),
            ("stop_token_ids", [0] * 65),
            ("stop_token_ids", [-1]),
            ("stop_token_ids", [2**31]),
            ("max_tokens", 0),
            ("max_completion_tokens", -5),
            ("top_logprobs", 21),
            ("model", "m" * 257),
            ("messages", []),
            ("messages", [{}] * 1025),
            ("tools", [{}] * 129),
        ],
    )
    def test_what_is_beyond_is_refused(self, name: str, value: Any) -> None:
        refusal = refused({name: value})
        assert (refusal.code, refusal.param) == ("out_of_bounds", name)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("temperature", 0),
            ("temperature", 2),
            ("top_p", 1),
            ("top_k", -1),
            ("seed", -(2**63)),
            ("n", 4),
            ("stop", ["a" * 256] * 16),
            ("stop_token_ids", [2**31 - 1] * 64),
            ("max_tokens", 32000),
            ("top_logprobs", 20),
        ],
    )
    def test_what_is_at_the_edge_passes(self, name: str, value: Any) -> None:
        assert check({name: value}) == {name: value}

    def test_answers_are_bounded_by_the_servers_limit(self) -> None:
        assert check({"n": 9}, limits=Limits(choices=9)) == {"n": 9}
        assert "at most 4" in refused({"n": 9}).message


class TestDropped:
    @pytest.mark.parametrize("name", RULES["dropped"])
    @pytest.mark.parametrize("path", [CHAT, COMPLETIONS, TOKENIZE])
    def test_what_has_no_effect_is_taken_and_left_out(self, name: str, path: str) -> None:
        assert check({name: "anything"}, path) == {}


class TestRefused:
    @pytest.mark.parametrize("name", RULES["refused"])
    @pytest.mark.parametrize("path", [CHAT, COMPLETIONS, TOKENIZE])
    def test_it_is_said_why(self, name: str, path: str) -> None:
        refusal = refused({name: "anything"}, path)
        assert (refusal.code, refusal.param) == ("unsupported_field", name)
        assert RULES["refused"][name]["why"] in refusal.message

    @pytest.mark.parametrize(
        ("name", "value"),
        [(name, value) for name, entry in RULES["refused"].items() for value in [None, *entry.get("harmless", [])]],
    )
    def test_a_value_that_changes_nothing_is_left_out(self, name: str, value: Any) -> None:
        assert check({name: value}) == {}

    def test_true_is_not_one(self) -> None:
        assert refused({"best_of": True}).param == "best_of"
        assert refused({"echo": 0}).param == "echo"

    @pytest.mark.parametrize(
        "name",
        [
            "guided_json",
            "structured_outputs",
            "logit_bias",
            "allowed_token_ids",
            "bad_words",
            "min_tokens",
            "prompt_logprobs",
            "echo",
            "best_of",
            "priority",
            "use_beam_search",
            "prompt_embeds",
            "chat_template",
            "chat_template_kwargs",
            "mm_processor_kwargs",
            "documents",
            "truncate_prompt_tokens",
            "kv_transfer_params",
            "vllm_xargs",
        ],
    )
    def test_what_reaches_into_the_engine_is_among_them(self, name: str) -> None:
        assert name in route_rules(CHAT).refused


class TestUnknown:
    def test_near_names_are_offered(self) -> None:
        refusal = refused({"temprature": 1})
        assert (refusal.code, refusal.param) == ("unknown_field", "temprature")
        assert "Did you mean temperature?" in refusal.message

    def test_otherwise_the_known_ones_are_listed(self) -> None:
        assert "Known are: add_generation_prompt, " in refused({"zzz": 1}).message

    def test_it_is_refused_whatever_it_holds(self) -> None:
        assert refused({"zzz": None}).code == "unknown_field"

    def test_a_field_of_another_route_is_unknown(self) -> None:
        assert refused({"prompt": "a"}).code == "unknown_field"
        assert refused({"messages": []}, COMPLETIONS).code == "unknown_field"
        assert refused({"temperature": 1}, TOKENIZE).code == "unknown_field"

    def test_a_long_name_is_not_repeated_whole(self) -> None:
        assert len(refused({"z" * 100_000: 1}).body) < 2000

    def test_the_place_is_named(self) -> None:
        with pytest.raises(RefusedError) as caught:
            check_fields({"rolle": "user"}, message_rules(), Limits(), inside="messages[3]")
        assert caught.value.refusal.param == "messages[3].rolle"
