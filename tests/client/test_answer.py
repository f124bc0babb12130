from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepaudio_serve.client.answer import Delta, Finish, Text, Thinking, separate, whole

WORDS = st.text(alphabet="ab <>/think\n", max_size=30)


def answer(*pieces: str | Delta, reason: str = "stop"):
    deltas = [Delta(content=piece) if isinstance(piece, str) else piece for piece in pieces]
    return whole(list(separate([*deltas, Finish(reason)])), seconds=1.0)


def cut(text: str, places: list[int]) -> list[str]:
    bounds = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(bounds)]


def test_the_words_begin_inside_the_thinking():
    said = answer("A low tone.\n</think>\n\nI hear a low tone.\n")
    assert (said.thinking, said.text) == ("A low tone.", "I hear a low tone.")


@pytest.mark.parametrize("opening", ["<think>", "<think>\n", "\n<think>\n", " \n"])
def test_a_repeated_opening_mark_and_the_space_around_it_are_dropped(opening):
    assert answer(opening + "hm</think>yes").thinking == "hm"


@pytest.mark.parametrize("place", range(len("hm</think>yes") + 1))
def test_a_mark_cut_anywhere_is_still_a_mark(place):
    whole_text = "hm</think>yes"
    said = answer(whole_text[:place], whole_text[place:])
    assert (said.thinking, said.text) == ("hm", "yes")


@given(WORDS, WORDS, st.sampled_from(["", "<think>", " <think>\n"]), st.lists(st.integers(0, 99)))
def test_how_the_pieces_are_cut_changes_nothing(thinking, text, opening, places):
    raw = f"{opening}{thinking}</think>{text}"
    assert answer(*cut(raw, places)) == answer(raw)


@given(WORDS.filter(lambda words: "<" not in words), WORDS)
def test_no_word_is_lost_or_moved(thinking, text):
    said = answer(thinking + "</think>" + text)
    assert (said.thinking, said.text) == (thinking.strip(), text.strip())


def test_a_piece_comes_out_at_once_unless_it_may_be_a_mark():
    events = separate(iter([Delta("one "), Delta("two <"), Delta("b> </th"), Delta("ree"), Finish("stop")]))
    assert [event.text for event in events if isinstance(event, Thinking)] == ["one ", "two ", "<b> ", "</three"]


def test_a_mark_that_never_completes_is_part_of_the_words():
    assert answer("one </thin", reason="length").thinking == "one </thin"


def test_a_second_closing_mark_belongs_to_the_text():
    assert answer("hm</think>a </think> b").text == "a </think> b"


def test_space_before_the_text_is_dropped_even_in_pieces_of_its_own():
    events = list(separate([Delta("hm</think>\n"), Delta("\n"), Delta(" yes "), Delta("no"), Finish("stop")]))
    assert [event for event in events if isinstance(event, Text)] == [Text("yes "), Text("no")]


def test_thinking_that_the_engine_told_apart_stays_thinking():
    said = answer(Delta(reasoning="\nhm "), Delta(reasoning="hm"), Delta(content="\n\nyes <think> no"))
    assert (said.thinking, said.text) == ("hm hm", "yes <think> no")


def test_an_engine_that_stops_without_ending_its_thinking_has_answered_without_thinking():
    said = answer("I hear ", "a low tone.")
    assert (said.thinking, said.text) == ("", "I hear a low tone.")


def test_the_same_holds_where_the_engine_tells_them_apart():
    assert answer(Delta(reasoning="I hear a low tone.")).text == "I hear a low tone."


def test_thinking_that_was_cut_off_is_no_answer():
    said = answer("It could be", reason="length")
    assert (said.thinking, said.text, said.finish_reason) == ("It could be", "", "length")


def test_an_empty_answer_after_the_thinking_stays_empty():
    said = answer("hm</think>\n")
    assert (said.thinking, said.text) == ("hm", "")


def test_words_without_an_end_are_no_answer():
    with pytest.raises(ValueError, match="no end"):
        whole([Thinking("hm")], seconds=1.0)
