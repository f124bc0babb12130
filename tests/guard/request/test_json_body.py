from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepaudio_serve.guard.refusal import Refusal, RefusedError
from stepaudio_serve.guard.request.json_body import MAX_DEPTH, MAX_VALUES, describe, parse_object

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def parse(body: bytes) -> dict[str, Any]:
    return parse_object(body, text_characters=1000)


def refused(body: bytes) -> Refusal:
    with pytest.raises(RefusedError) as caught:
        parse(body)
    return caught.value.refusal


class TestWhatIsTaken:
    @given(st.dictionaries(st.text(), VALUES, max_size=4))
    def test_every_object_that_json_can_write_is_read_as_it_was(self, value: dict[str, Any]) -> None:
        value = json.loads(json.dumps(value, allow_nan=False))
        assert parse(json.dumps(value).encode()) == value
        assert parse(json.dumps(value, ensure_ascii=False).encode()) == value

    def test_a_pair_of_surrogates_is_one_character(self) -> None:
        assert parse(rb'{"a": "\ud83d\ude00"}') == {"a": "\U0001f600"}

    def test_nesting_as_deep_as_allowed(self) -> None:
        parse(b'{"a":' + b"[" * (MAX_DEPTH - 2) + b"1" + b"]" * (MAX_DEPTH - 2) + b"}")


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("body", "why"),
        [
            (b"", "Expecting value"),
            (b"{", "property name"),
            (b'{"a": 1} x', "Extra data"),
            (b"[]", "not a list"),
            (b'"text"', "not a string"),
            (b"3", "not a number"),
            (b"null", "not null"),
            (b'{"a": NaN}', "NaN"),
            (b'{"a": -Infinity}', "-Infinity"),
            (b'{"a": 1e999}', "too large"),
            (b'{"a": -1e999}', "too large"),
            (b'{"a": 18446744073709551616}', "too large"),
            (b'{"a": ' + b"9" * 5000 + b"}", "too large"),
            (b'{"a": 1, "a": 2}', "'a' stands twice"),
            (rb'{"a": "\ud800"}', "surrogate"),
            (rb'{"\udfff": 1}', "surrogate"),
            (b'{"a": "\xff"}', "not UTF-8"),
            (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
            ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
            (b'{"a": "\n"}', "control character"),
        ],
    )
    def test_it_is_said_what_is_wrong(self, body: bytes, why: str) -> None:
        refusal = refused(body)
        assert (refusal.status, refusal.code) == (400, "invalid_json")
        assert why in refusal.message

    @pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 2000, 40_000])
    @pytest.mark.parametrize(("opens", "closes"), [(b"[", b"]"), (b'{"a":', b"}")])
    def test_nesting_has_an_end(self, depth: int, opens: bytes, closes: bytes) -> None:
        body = b'{"a":' + opens * depth + b"1" + closes * depth + b"}"
        assert "nested deeper" in refused(body).message

    @pytest.mark.parametrize("unit", [b"[],", b"{},", b"0,"])
    def test_more_values_than_any_request_needs_are_not_even_read(self, unit: bytes) -> None:
        body = b'{"a": [' + unit * (MAX_VALUES + 1000) + b"0]"
        assert "more values" in refused(body).message

    @pytest.mark.timeout(10)
    def test_a_name_that_stands_twice_among_many_is_found_in_one_pass(self) -> None:
        names = [*range(MAX_VALUES), MAX_VALUES - 1]
        body = "{" + ",".join(f'"{name}":0' for name in names) + "}"
        assert f"'{MAX_VALUES - 1}' stands twice" in refused(body.encode()).message

    def test_more_escapes_than_any_text_needs_are_not_even_read(self) -> None:
        audio = b'{"audio": "' + b"\\u0041" * 200_000 + b'"}'
        assert "escapes" in refused(audio).message
        assert parse_object(audio, text_characters=50_000)["audio"] == "A" * 200_000

    def test_text_may_be_full_of_commas(self) -> None:
        text = "," * (MAX_VALUES + 500)
        assert parse(json.dumps({"a": text}).encode()) == {"a": text}

    def test_the_part_at_fault_is_named(self) -> None:
        with pytest.raises(RefusedError) as caught:
            parse_object(b"x", text_characters=0, param="tools[0]")
        assert caught.value.refusal.param == "tools[0]"
        assert caught.value.refusal.message.startswith("tools[0]")

    @given(st.binary(max_size=60))
    def test_any_bytes_are_an_object_or_are_refused(self, body: bytes) -> None:
        with suppress(RefusedError):
            assert isinstance(parse(body), dict)


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "null"), (True, "true or false"), (1.5, "a number"), ("", "a string"), ([], "a list"), ({}, "an object")],
)
def test_values_are_described_in_words(value: object, words: str) -> None:
    assert describe(value) == words
