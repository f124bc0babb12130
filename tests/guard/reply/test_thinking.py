from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepaudio_serve.guard.reply.thinking import CLOSE, OPEN, Answer, Separator, separate

WORDS = st.lists(st.sampled_from([OPEN, CLOSE, "<", "</", "</think", "think>", "\n", " ", "a", "né", "🎵", ">"])).map(
    "".join
)


def streamed(pieces: list[str], reason: str, *, opened: bool = True) -> tuple[str, str]:
    """All the thinking and all the text that a stream's reader puts together."""
    separator = Separator(opened=opened)
    sorted_ = [*map(separator.feed, pieces), separator.finish(reason)]
    return "".join(piece.thinking for piece in sorted_), "".join(piece.text for piece in sorted_)


def cut(words: str, places: set[int]) -> list[str]:
    edges = [0, *sorted(place for place in places if place < len(words)), len(words)]
    return [words[start:end] for start, end in pairwise(edges)]


class TestWhole:
    @pytest.mark.parametrize(
        ("words", "answer"),
        [
            ("I listen.\n</think>\n\nA dog.", Answer("I listen.\n", "A dog.")),
            ("<think>\nI listen.</think>A dog.", Answer("I listen.", "A dog.")),
            ("\n <think> I listen.</think>A dog.", Answer("I listen.", "A dog.")),
            ("</think>A dog.", Answer(None, "A dog.")),
            ("\n\n</think>\n\nA dog.\n", Answer(None, "A dog.\n")),
            ("I listen.</think>", Answer("I listen.", "")),
            ("a < b, </thin, </think >\n</think>c", Answer("a < b, </thin, </think >\n", "c")),
            ("one</think>two</think>three", Answer("one", "two</think>three")),
            ("one<think>two</think>three", Answer("one<think>two", "three")),
        ],
    )
    def test_the_mark_ends_the_thinking(self, words: str, answer: Answer) -> None:
        assert separate(words, "stop", "opened") == answer

    def test_an_answer_without_thinking_is_all_text(self) -> None:
        assert separate("A dog.", "stop", "opened") == Answer(None, "A dog.")

    @pytest.mark.parametrize("reason", ["length", "abort", "tool_calls"])
    def test_an_answer_that_was_cut_off_inside_its_thinking_has_no_text(self, reason: str) -> None:
        assert separate("I listen, and then </thi", reason, "opened") == Answer("I listen, and then </thi", None)

    def test_a_text_that_starts_outside_the_thinking_is_kept_to_the_letter(self) -> None:
        assert separate("  and so on</think>\n", "stop", "closed") == Answer(None, "  and so on</think>\n")

    def test_it_may_still_open_its_thinking(self) -> None:
        assert separate("\n<think>Hm.</think>\nYes.", "stop", "closed") == Answer("Hm.", "Yes.")

    @pytest.mark.parametrize("words", ["", " \n"])
    @pytest.mark.parametrize("reason", ["stop", "length"])
    def test_nothing_is_nothing(self, words: str, reason: str) -> None:
        answer = separate(words, reason, "opened")
        assert answer.thinking is None
        assert not answer.text


class TestStream:
    @given(
        words=WORDS,
        places=st.sets(st.integers(1, 60)),
        opened=st.booleans(),
        reason=st.sampled_from(["stop", "length"]),
    )
    def test_however_it_is_cut_the_sum_is_the_same(
        self, words: str, places: set[int], opened: bool, reason: str
    ) -> None:
        assert streamed(cut(words, places), reason, opened=opened) == streamed([words], reason, opened=opened)

    @given(words=WORDS, opened=st.booleans(), reason=st.sampled_from(["stop", "length"]))
    def test_it_says_what_the_whole_answer_says(self, words: str, opened: bool, reason: str) -> None:
        thinking, text = streamed([*words], reason, opened=opened)
        whole = separate(words, reason, "opened" if opened else "closed")
        assert text == (whole.text or "")
        assert whole.thinking in {thinking or None, None}
        assert whole.thinking is not None or thinking in {"", text}

    @given(words=WORDS)
    def test_no_mark_and_no_more_than_a_mark_is_held_back(self, words: str) -> None:
        separator = Separator(opened=True)
        given = words.partition(CLOSE)[0]
        shown = "".join(separator.feed(character).thinking for character in given)
        held = separator.finish("length").thinking
        assert len(held) < len(CLOSE) or OPEN.startswith(held)
        assert (shown + held).strip() == given.lstrip().removeprefix(OPEN).strip()

    def test_words_come_as_soon_as_they_cannot_be_a_mark(self) -> None:
        separator = Separator(opened=True)
        pieces = [separator.feed(words).thinking for words in ["I", " see", " <", "/th", "e", "</think"]]
        assert pieces == ["I", " see", " ", "", "</the", ""]
        assert separator.feed(">\n").text == ""
        assert separator.feed("\nYes").text == "Yes"
        assert separator.settled

    def test_one_that_stopped_without_a_mark_gives_its_words_again_as_text(self) -> None:
        assert streamed(["A", " dog", ".<"], "stop") == ("A dog.<", "A dog.<")

    def test_one_that_was_cut_off_does_not(self) -> None:
        assert streamed(["A", " dog", ".<"], "length") == ("A dog.<", "")
