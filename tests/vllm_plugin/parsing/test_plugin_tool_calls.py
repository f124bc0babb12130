from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepaudio_serve.plan.chat_template import ChatTemplate, load_template, render
from stepaudio_serve.vllm_plugin.parsing.tool_calls import (
    CLOSING,
    OPENING,
    Arguments,
    Begun,
    Call,
    Ended,
    Reader,
    Reading,
    Text,
    read,
)

CITY = '{"city": "Malmö"}'
WORDS = st.lists(
    st.sampled_from(
        [
            *(OPENING, CLOSING, OPENING + 'f\n{"a": "b"}' + CLOSING, "<", "</tool", "<tool_call>", "function\n", "f\n"),
            *("{", "}", '"', "\\", "[1, {}]", CITY, "\n", " ", "a", "né", "🎵"),
        ]
    ),
    max_size=30,
).map("".join)
NAMES = st.text("abcXYZ019_-.é", min_size=1, max_size=12)
OBJECTS = st.dictionaries(
    st.text(max_size=8) | st.sampled_from([CLOSING, OPENING]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from([CLOSING, '\\"}', OPENING + "f\n{"]),
        lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=3), values, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)
PLACES = st.sets(st.integers(1, 120))


def call(name: str = "weather", arguments: str = CITY) -> str:
    return f"{OPENING}{name}\n{arguments}{CLOSING}"


def cut(words: str, places: set[int]) -> list[str]:
    edges = [0, *sorted(place for place in places if place < len(words)), len(words)]
    return [words[start:end] for start, end in pairwise(edges)]


def events(pieces: list[str]) -> list[Text | Begun | Arguments | Ended]:
    reader = Reader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.finish()


def streamed(pieces: list[str]) -> tuple[str, list[Call]]:
    """The text and the calls that a stream's reader puts together."""
    content, calls = "", []
    for event in events(pieces):
        match event:
            case Text():
                content += event.words
            case Begun():
                calls.append(Call(event.name, ""))
            case Arguments():
                calls[-1] = Call(calls[-1].name, calls[-1].arguments + event.words)
    return content, calls


def source(event: Text | Begun | Arguments | Ended) -> str:
    return event.words if isinstance(event, Text | Arguments) else event.source


class TestWhole:
    def test_a_call_is_a_name_and_its_arguments(self) -> None:
        assert read(call()) == Reading(None, (Call("weather", CITY),))

    def test_the_text_before_a_call_is_the_content(self) -> None:
        assert read("I look.\n\n" + call()) == Reading("I look.", (Call("weather", CITY),))

    @pytest.mark.parametrize("words", ["A dog.\n", "  \n", "a <b> {c} </tool_call>", "<tool_call>", OPENING + "f\n"])
    def test_a_text_without_calls_is_kept_to_the_letter(self, words: str) -> None:
        assert read(words) == Reading(words)

    def test_no_words_are_no_content(self) -> None:
        assert read("") == Reading(None)

    @pytest.mark.parametrize("between", ["", "\n", " \n\n "])
    def test_several_calls_follow_each_other(self, between: str) -> None:
        assert read(call("a") + between + call("b", "{}") + between) == Reading(
            None, (Call("a", CITY), Call("b", "{}"))
        )

    def test_text_between_and_after_calls_is_content_too(self) -> None:
        assert read("One" + call("a") + " two\n" + call("b") + "\nthree\n").content == "One two\nthree"

    def test_arguments_stay_as_the_model_wrote_them(self) -> None:
        arguments = '{ "b":1.50 ,\n "a": "\\u00e9", "a": 1e5 }'
        assert read(call(arguments=arguments)).calls == (Call("weather", arguments),)

    def test_a_mark_inside_a_string_is_data(self) -> None:
        arguments = json.dumps({"html": f'"{CLOSING}"', CLOSING: "\\", "call": call()})
        assert read("Look:" + call(arguments=arguments)) == Reading("Look:", (Call("weather", arguments),))

    def test_white_space_around_the_parts_is_no_matter(self) -> None:
        assert read(OPENING + " f \r\n \n{}\n " + CLOSING) == Reading(None, (Call("f", "{}"),))

    @pytest.mark.parametrize("rest", ["", "\n", "</tool_c"])
    def test_a_call_whose_object_is_whole_needs_no_end_mark(self, rest: str) -> None:
        assert read(call().removesuffix(CLOSING) + rest) == Reading(None, (Call("weather", CITY),))

    def test_what_follows_in_place_of_the_end_mark_is_content(self) -> None:
        assert read(call().removesuffix(CLOSING) + " or so</tool").content == " or so</tool"

    @pytest.mark.parametrize(
        "arguments",
        [
            "",
            "city",
            "[1]",
            '"a"',
            "null",
            "{city: 1}",
            '{"a": 1',
            '{"a": 1,}',
            '{"a": NaN}',
            '{"a": -Infinity}',
            '{"a": "b\nc"}',
            '{"a": "b',
            '{"a":' * 5000 + "1" + "}" * 5000,
        ],
    )
    def test_what_is_no_json_object_stays_text_with_its_marks(self, arguments: str) -> None:
        words = "So:\n" + call(arguments=arguments) + "\nDone.\n"
        assert read(words) == Reading(words)

    @pytest.mark.parametrize("broken", ["{city: 1}", '{"a": 1', "city"])
    def test_a_broken_call_does_not_spoil_the_next(self, broken: str) -> None:
        assert read("So: " + call("a", broken) + call("b")) == Reading("So: " + call("a", broken), (Call("b", CITY),))

    def test_a_call_after_a_broken_one_ends_where_its_object_ends(self) -> None:
        words = call("a", '{"a": {"b": 1') + call("b").removesuffix(CLOSING) + " and so on"
        assert read(words) == Reading(call("a", '{"a": {"b": 1') + " and so on", (Call("b", CITY),))

    @pytest.mark.parametrize("name", ["", " ", "two words", "n" * 129, "a<b", '{"name":', "\n"])
    def test_what_has_no_name_is_text(self, name: str) -> None:
        assert read(call(name)) == Reading(call(name))

    @pytest.mark.parametrize("opening", ["<tool_call>\nfunction\n", "<tool_call>functions\n", "<toolcall>function\n"])
    def test_another_opening_is_text(self, opening: str) -> None:
        assert read(opening + "f\n{}" + CLOSING).calls == ()

    def test_a_call_may_follow_the_start_of_another(self) -> None:
        assert read("<<tool_call>" + OPENING + "f\n" + call()) == Reading(
            "<<tool_call>" + OPENING + "f", (Call("weather", CITY),)
        )

    @given(words=WORDS)
    def test_no_words_raise_and_none_but_marks_and_white_space_are_lost(self, words: str) -> None:
        reading = read(words)
        if not reading.calls:
            assert (reading.content or "") == words
        written = [reading.content or "", *(text for call in reading.calls for text in (call.name, call.arguments))]
        lost = Counter("".join(words.split())) - Counter("".join("".join(written).split()))
        openings, closings = len(reading.calls), lost["/"]
        assert closings <= openings
        assert lost == Counter(OPENING.strip() * openings + CLOSING * closings)

    @given(
        content=st.text("ab <>é\n{", max_size=8).map(str.rstrip), calls=st.lists(st.tuples(NAMES, OBJECTS), max_size=3)
    )
    def test_it_reads_back_what_the_chat_template_writes(
        self, content: str, calls: list[tuple[str, dict[str, object]]]
    ) -> None:
        functions = [{"name": name, "arguments": json.dumps(arguments)} for name, arguments in calls]
        turn = {"role": "assistant", "content": content, "tool_calls": [{"function": each} for each in functions]}
        prompt = render(
            ChatTemplate("template", load_template("step-audio-r1").source),
            {"messages": [{"role": "user", "content": "a"}, turn]},
            add_generation_prompt=False,
            content_format="openai",
        )
        reading = read(prompt.partition("<|BOT|>assistant\n")[2])
        assert (reading.content or "") == content
        assert [(call.name, json.loads(call.arguments)) for call in reading.calls] == calls


class TestStream:
    @given(words=WORDS, places=PLACES)
    def test_however_it_is_cut_the_sum_is_the_same(self, words: str, places: set[int]) -> None:
        assert streamed(cut(words, places)) == streamed([words]) == streamed([*words])

    @given(words=WORDS, places=PLACES)
    def test_it_says_what_the_whole_answer_says_unless_a_call_is_broken(self, words: str, places: set[int]) -> None:
        whole = read(words)
        content, calls = streamed(cut(words, places))
        if len(calls) == len(whole.calls):
            assert (content, calls) == (whole.content or "", [*whole.calls])
        else:
            assert set(whole.calls) <= set(calls)

    @given(text=st.text("ab <\n"), calls=st.lists(st.tuples(NAMES, OBJECTS), max_size=3), places=PLACES)
    def test_it_says_what_the_whole_answer_says(
        self, text: str, calls: list[tuple[str, dict[str, object]]], places: set[int]
    ) -> None:
        words = text.join(["", *(call(name, json.dumps(arguments)) for name, arguments in calls), ""])
        content, read_calls = streamed(cut(words, places))
        assert Reading(content or None, tuple(read_calls)) == read(words)

    @given(words=WORDS, places=PLACES)
    def test_nothing_goes_out_twice_and_only_white_space_at_the_end_goes_missing(
        self, words: str, places: set[int]
    ) -> None:
        given_out = "".join(map(source, events(cut(words, places))))
        assert words.startswith(given_out)
        assert not words[len(given_out) :].strip()

    @given(words=WORDS)
    def test_a_text_goes_out_whole_but_for_what_may_be_a_mark_or_lead_to_one(self, words: str) -> None:
        reader = Reader()
        shown = "".join(source(event) for character in words for event in reader.feed(character))
        held = words[len(shown) :]
        assert held.strip() == "" or held.lstrip().startswith(("<", "\\"))

    def test_words_come_as_soon_as_they_cannot_be_a_mark(self) -> None:
        reader = Reader()
        pieces = [
            "".join(map(source, reader.feed(words)))
            for words in ["I", " look", ".\n", "\nNow", " <tool_", "call", ">fun", "ny", " <"]
        ]
        assert pieces == ["I", " look", ".", "\n\nNow", "", "", "", " <tool_call>funny", ""]
        assert reader.finish() == [Text(" <")]

    def test_a_name_comes_as_soon_as_its_object_begins(self) -> None:
        reader = Reader()
        assert reader.feed("I look.\n" + OPENING + "weath") == [Text("I look.")]
        assert reader.feed("er\n") == []
        assert reader.feed("{") == [Begun("weather", "\n" + OPENING + "weather\n"), Arguments("{")]

    def test_arguments_come_as_they_are_written(self) -> None:
        reader = Reader()
        reader.feed(OPENING + "f\n{")
        pieces = ['"a": "</tool', "_call>\\", '"', '", "b": {"c": 1', "}}", "\n</tool", "_call>"]
        assert [reader.feed(piece) for piece in pieces] == [
            [Arguments('"a": "</tool')],
            [Arguments("_call>")],
            [Arguments('\\"')],
            [Arguments('", "b": {"c": 1')],
            [Arguments("}}")],
            [],
            [Ended("\n</tool_call>")],
        ]

    def test_a_call_that_is_cut_off_has_given_out_what_there_was(self) -> None:
        assert streamed(["a", OPENING, "f\n", '{"a": "b', "\\"]) == ("a", [Call("f", '{"a": "b\\')])

    def test_a_broken_call_is_given_out_as_the_model_wrote_it(self) -> None:
        assert streamed([call("f", "{a: 1}"), "after"]) == ("after", [Call("f", "{a: 1}")])
        assert streamed([call("f", '{"a": 1'), call("g")]) == ("", [Call("f", '{"a": 1'), Call("g", CITY)])

    @pytest.mark.parametrize("tail", [" ", " <tool_", "\n" + OPENING + "f", "\n" + OPENING + "f\n \n"])
    def test_what_is_held_back_at_the_end_is_text_after_all(self, tail: str) -> None:
        assert streamed(["A dog.", tail]) == ("A dog." + tail, [])
        assert streamed([call(), tail]) == (tail.rstrip(), [Call("weather", CITY)])
