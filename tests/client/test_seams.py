"""Transcripts of overlapping sounds become one, with every word once."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepaudio_serve.client.pieces import Told, in_words, spliced
from stepaudio_serve.client.seams import join

GARBLED = "mumble"


@pytest.mark.parametrize(
    ("left", "right", "joined"),
    [
        ("at the market we bought app", "the market we bought apples.", "at the market|we bought apples."),
        ("He said: We met at noon. It was hot", "We met at noon. It was so", "He said: We met at noon.|It was so"),
        ("so, thank you.", "Thank you. Next, please.", "so, thank you.|Next, please."),
        ("天气很好。我们去公园玩吧", "我们去公园玩吧。明天再说。", "天气很好。我们去公园玩吧。|明天再说。"),
        (
            "It\u2019s DON'T do that Again",
            "don\u2019t do that again, he said",
            "It\u2019s DON'T do|that again, he said",
        ),
        ("ich heiße Müller und wohne", "heisse müller und wohne hier", "ich heiße Müller|und wohne hier"),
    ],
)
def test_two_texts_are_joined_where_both_have_the_same_words(left: str, right: str, joined: str) -> None:
    found = join(left, right, overlap=6)
    assert f"{found.left}|{found.right}" == joined


def test_a_single_common_word_in_the_middle_proves_nothing() -> None:
    found = join("all the way to the house", "from a boat on the lake we saw", overlap=6)
    assert (found.left, found.right, found.words) == ("all the way to the house", "from a boat on the lake we saw", 0)


def test_words_that_agree_by_accident_cut_nothing_off() -> None:
    left = "He opened the account. So I think that we should go to the bank before noon because the clerk leaves early"
    right = "A completely different sentence about cats and dogs, well, I think that the weather is nice today"
    found = join(left, right, overlap=12)
    assert (found.left, found.right, found.words) == (left, right, 0)


def test_a_few_words_that_were_heard_differently_do_not_part_what_agrees_around_them() -> None:
    left = "so we met at noon by the old bridge and Jim said he would call the office again on Monday more or less"
    right = "noon by the cold bridge and Tim said he would call the office again on Monday morning, right"
    assert join(left, right, overlap=8).words == 9


def test_a_refrain_outside_the_overlap_does_not_draw_the_seam() -> None:
    refrain = " ".join(f"la{n}" for n in range(6))
    left = f"{refrain} one two three four five six"
    right = f"three four five six seven {refrain} end"
    found = join(left, right, overlap=2)
    assert f"{found.left} {found.right}" == f"{refrain} one two three four five six seven {refrain} end"


def test_nothing_is_lost_where_one_text_holds_only_the_overlap() -> None:
    assert join("one two three four", "two three four", overlap=4).right in {"", "three four", "four"}
    found = join("one two three four", "two three four", overlap=4)
    assert f"{found.left} {found.right}".split() == ["one", "two", "three", "four"]


@dataclass(frozen=True, slots=True)
class Spoken:
    words: list[str]
    seconds: list[float]


@st.composite
def speeches(draw: st.DrawFn) -> Spoken:
    """Words at a human pace, some of them said again and again."""
    count = draw(st.integers(150, 400))
    vocabulary = draw(st.integers(30, 3000))
    rate = draw(st.floats(1.5, 4.0))
    random = Random(draw(st.integers(0, 1 << 32)))
    seconds, now = [], 0.0
    for _ in range(count):
        now += random.uniform(0.5, 1.5) / rate
        seconds.append(now)
    return Spoken([f"w{random.randrange(vocabulary)}" for _ in range(count)], seconds)


@given(spoken=speeches(), window=st.floats(40, 90), garbled=st.integers(0, 3), data=st.data())
@settings(max_examples=150, deadline=None)
def test_windows_of_any_speech_become_exactly_its_words_again(
    spoken: Spoken, window: float, garbled: int, data: st.DataObject
) -> None:
    overlap = 12.0
    told, start, end_of_all = [], 0.0, spoken.seconds[-1] + 1
    while True:
        end = min(start + window, end_of_all)
        words = [w for w, at in zip(spoken.words, spoken.seconds, strict=True) if start <= at < end]
        if start > 0:
            words[:garbled] = [GARBLED] * min(garbled, len(words))
        if end < end_of_all and garbled:
            words[-garbled:] = [GARBLED] * min(garbled, len(words))
        told.append(Told("a", start, end, " ".join(words), overlap if start else 0.0))
        if end == end_of_all:
            break
        start = end - overlap
    pieces = list(spliced(told))
    assert " ".join(piece.text for piece in pieces).split() == spoken.words
    assert [piece.start for piece in pieces] == sorted(piece.start for piece in pieces)
    assert all(piece.seam == "joined" for piece in pieces[1:])


# ---- seams that no words make


def told(start: float, text: str, *, silent: bool = False) -> Told:
    return Told("a", start, start + 60, text, 12.0 if start else 0.0, silent)


def test_where_no_words_agree_both_sides_are_kept_and_marked() -> None:
    first, second = spliced([told(0, "one two three"), told(48, "other things altogether")])
    assert (first.text, second.text, second.seam) == ("one two three", "other things altogether", "unmatched")
    assert in_words(second) == (
        "[00:00:48 no words agree here: the next ones may stand above too]\n[00:00:48] other things altogether"
    )


def test_a_silent_overlap_holds_no_words_to_agree_on() -> None:
    first, second = spliced([told(0, "one two three"), told(48, "other things", silent=True)])
    assert (first.end, second.start, second.seam) == (60, 60, "silence")


def test_a_part_in_which_nobody_speaks_joins_without_a_mark() -> None:
    pieces = list(spliced([told(0, "one two"), told(48, ""), told(96, "three four")]))
    assert [piece.seam for piece in pieces] == ["first", "silence", "silence"]
    assert in_words(pieces[1]) == ""


def test_the_parts_of_different_recordings_are_not_joined() -> None:
    pieces = list(spliced([told(0, "one two three"), Told("b", 0, 10, "one two three")]))
    assert [piece.text for piece in pieces] == ["one two three", "one two three"]
